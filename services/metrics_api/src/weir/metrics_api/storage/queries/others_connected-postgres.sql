-- Whether programs of a name are connected to this database.
select exists (
  select from pg_stat_activity where datname = current_database() and application_name = ?
)
