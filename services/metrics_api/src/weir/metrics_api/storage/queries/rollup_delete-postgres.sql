-- Delete cells of shards.
delete from {table}
where (id, shard) in (select * from unnest(?::bigint[], ?::smallint[]))
