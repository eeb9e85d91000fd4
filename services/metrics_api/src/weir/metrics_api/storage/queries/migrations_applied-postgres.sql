-- The steps of the schema that have been taken.
select name from weir_migrations
