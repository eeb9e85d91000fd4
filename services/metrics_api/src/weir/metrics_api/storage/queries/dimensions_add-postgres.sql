-- Store a combination of dimensions that is not known yet.
insert into rollup_dimensions (
  key,
  tenant,
  project,
  api_key_id,
  provider,
  upstream,
  variant,
  endpoint,
  model,
  stream,
  outcome,
  status_code
)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (key) do nothing
