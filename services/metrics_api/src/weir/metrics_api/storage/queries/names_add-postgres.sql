-- Store strings, in the order given, that are not known yet.
insert into names (name)
select unnest(?::text[])
on conflict (name) do nothing
