-- Note that a step of the schema has been taken.
insert into weir_migrations (name) values (?)
