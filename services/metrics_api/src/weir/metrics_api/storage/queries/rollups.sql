-- Sums of roll-up rows by time slot and dimensions.
select
  {slot} as slot,
  cast(sum(r.requests) as bigint),
  cast(sum(r.retries) as bigint),
  cast(sum(r.usage_reported) as bigint),
  cast(sum(r.prompt_tokens) as bigint),
  cast(sum(r.prompt_tokens_n) as bigint),
  cast(sum(r.completion_tokens) as bigint),
  cast(sum(r.completion_tokens_n) as bigint),
  cast(sum(r.cache_read_tokens) as bigint),
  cast(sum(r.cache_read_tokens_n) as bigint),
  cast(sum(r.cache_write_tokens) as bigint),
  cast(sum(r.cache_write_tokens_n) as bigint),
  cast(sum(r.reasoning_tokens) as bigint),
  cast(sum(r.reasoning_tokens_n) as bigint),
  cast(sum(r.request_bytes) as bigint),
  cast(sum(r.request_bytes_n) as bigint),
  cast(sum(r.response_bytes) as bigint),
  cast(sum(r.response_bytes_n) as bigint),
  {distributions}
  {groups}
from ({segments}) as r
join rollup_dimensions as d on d.id = r.dimensions_id
where {filter}
group by {group_by}
