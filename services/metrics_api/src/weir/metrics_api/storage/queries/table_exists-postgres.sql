-- Whether there is a table of this name. Read from the catalogue: to_regclass may remember that there was none.
select exists (
  select from pg_class where relname = ?::text and relnamespace = current_schema()::regnamespace
)
