-- One request by its request_id.
select
  r.id,
  r.request_id,
  r.outcome,
  r.status_code,
  r.stream,
  r.retries,
  r.queue_us,
  r.connect_us,
  r.upstream_headers_us,
  r.first_token_us,
  r.first_answer_us,
  r.last_token_us,
  r.duration_us,
  r.proxy_overhead_us,
  r.max_token_gap_us,
  r.prompt_tokens,
  r.completion_tokens,
  r.total_tokens,
  r.cache_read_tokens,
  r.cache_write_tokens,
  r.reasoning_tokens,
  r.usage_source,
  r.request_bytes,
  r.response_bytes,
  r.content_chunks,
  r.client_request_id,
  r.upstream_request_id,
  r.trace_id,
  r.span_id,
  r.error_message,
  r.metadata,
  r.attempts,
  r.usage_raw,
  r.schema_version,
  model.name as model,
  model_requested.name as model_requested,
  tenant.name as tenant,
  project.name as project,
  api_key.name as api_key,
  user_.name as user,
  provider.name as provider,
  upstream.name as upstream,
  variant.name as variant,
  endpoint.name as endpoint,
  proxy.name as proxy,
  error_type.name as error_type,
  finish_reason.name as finish_reason
from completion_requests as r
left join names as model on model.id = r.model_id
left join names as model_requested on model_requested.id = r.model_requested_id
left join names as tenant on tenant.id = r.tenant_id
left join names as project on project.id = r.project_id
left join names as api_key on api_key.id = r.api_key_id
left join names as user_ on user_.id = r.user_id
left join names as provider on provider.id = r.provider_id
left join names as upstream on upstream.id = r.upstream_id
left join names as variant on variant.id = r.variant_id
left join names as endpoint on endpoint.id = r.endpoint_id
left join names as proxy on proxy.id = r.proxy_id
left join names as error_type on error_type.id = r.error_type_id
left join names as finish_reason on finish_reason.id = r.finish_reason_id
where r.request_id = ?
