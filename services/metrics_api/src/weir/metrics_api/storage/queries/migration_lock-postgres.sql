-- Wait until no other process changes the schema; held as long as the connection.
select pg_advisory_lock(?)
