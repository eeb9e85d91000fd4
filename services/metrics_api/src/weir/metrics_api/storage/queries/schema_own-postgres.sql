-- The schema in use.
select current_schema()
