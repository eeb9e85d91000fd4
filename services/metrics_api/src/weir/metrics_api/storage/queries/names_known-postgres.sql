-- The ids of strings, and whether they may soon be forgotten.
select id, name, unused_since is not null from names where name = any(?::text[])
