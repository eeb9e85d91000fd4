-- The tables of the schema in use, each partition after the table it belongs to.
select relname
from pg_class
where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p')
order by relispartition, relname
