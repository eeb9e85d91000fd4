-- The strings that requests refer to, of a stretch from a position on. First its number of requests and last position.
with stretch as materialized (
  select
    id,
    model_id,
    model_requested_id,
    tenant_id,
    project_id,
    api_key_id,
    user_id,
    provider_id,
    upstream_id,
    variant_id,
    endpoint_id,
    proxy_id,
    error_type_id,
    finish_reason_id
  from completion_requests
  where id >= ?
  order by id
  limit ?
)
select count(*), max(id) from stretch
union all
select distinct null::bigint, unnest(array[
  model_id,
  model_requested_id,
  tenant_id,
  project_id,
  api_key_id,
  user_id,
  provider_id,
  upstream_id,
  variant_id,
  endpoint_id,
  proxy_id,
  error_type_id,
  finish_reason_id
])
from stretch
order by 1 nulls last
