-- The id of a combination of dimensions, new or known.
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
on conflict (key) do update set key = excluded.key
returning id
