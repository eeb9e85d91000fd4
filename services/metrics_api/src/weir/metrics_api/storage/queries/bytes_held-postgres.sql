-- How much the database takes on disk.
select pg_database_size(current_database())
