-- Which steps of the schema have been taken.
create table weir_migrations (
  name text primary key,
  applied_at timestamptz not null default now()
)
