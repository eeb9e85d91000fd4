"""From the stream into the database: read, decode, store, publish, acknowledge."""
