-- Delete snapshots that are no longer kept.
delete from {table} where bucket < ?
