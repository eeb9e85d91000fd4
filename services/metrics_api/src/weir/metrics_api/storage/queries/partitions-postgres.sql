-- The tables that requests are in.
select c.relname
from pg_inherits as i
join pg_class as c on c.oid = i.inhrelid
where i.inhparent = 'completion_requests'::regclass
order by 1
