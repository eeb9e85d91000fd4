-- The id of a string, new or known.
insert into names (name) values (?)
on conflict (name) do update set name = excluded.name
returning id
