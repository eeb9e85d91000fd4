-- The strings of ids.
select id, name from names where id = any(?::integer[])
