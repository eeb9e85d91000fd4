-- The ids of strings.
select id, name from names where name = any(?::text[])
