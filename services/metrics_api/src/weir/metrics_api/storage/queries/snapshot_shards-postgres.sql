-- Snapshots that are counted in several shards, oldest first.
select bucket, variant
from {table}
where bucket >= ? and bucket < ?
group by bucket, variant
having count(*) > 1
order by bucket, variant
limit ?
