-- The highest number of a schema that keeps what was replaced.
select coalesce(max(substring(nspname from '^weir_replaced_([0-9]{1,9})$')::integer), 0)
from pg_namespace
