-- Cells that are counted in several shards, oldest first.
select id
from {table}
where id >= ? and id < ?
group by id
having count(*) > 1
order by id
limit ?
