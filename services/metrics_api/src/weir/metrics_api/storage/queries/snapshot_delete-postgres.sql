-- Delete a shard of a snapshot.
delete from {table} where bucket = ? and variant = ? and shard = ?
