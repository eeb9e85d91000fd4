-- Ids of strings, in order, from one on.
select id from names where id > ? order by id limit ?
