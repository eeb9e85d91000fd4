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
select null, name_id from (
  select model_id as name_id from stretch
  union select model_requested_id from stretch
  union select tenant_id from stretch
  union select project_id from stretch
  union select api_key_id from stretch
  union select user_id from stretch
  union select provider_id from stretch
  union select upstream_id from stretch
  union select variant_id from stretch
  union select endpoint_id from stretch
  union select proxy_id from stretch
  union select error_type_id from stretch
  union select finish_reason_id from stretch
)
order by 1 desc
