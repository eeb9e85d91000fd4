-- Sums of roll-up rows by time slot and dimensions. By combination first: that is a number, and they are few.
select
  r.slot,
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
  {groups}
from (
  select
    {slot} as slot,
    r.dimensions_id,
    sum(r.requests) as requests,
    sum(r.retries) as retries,
    sum(r.usage_reported) as usage_reported,
    sum(r.prompt_tokens) as prompt_tokens,
    sum(r.prompt_tokens_n) as prompt_tokens_n,
    sum(r.completion_tokens) as completion_tokens,
    sum(r.completion_tokens_n) as completion_tokens_n,
    sum(r.cache_read_tokens) as cache_read_tokens,
    sum(r.cache_read_tokens_n) as cache_read_tokens_n,
    sum(r.cache_write_tokens) as cache_write_tokens,
    sum(r.cache_write_tokens_n) as cache_write_tokens_n,
    sum(r.reasoning_tokens) as reasoning_tokens,
    sum(r.reasoning_tokens_n) as reasoning_tokens_n,
    sum(r.request_bytes) as request_bytes,
    sum(r.request_bytes_n) as request_bytes_n,
    sum(r.response_bytes) as response_bytes,
    sum(r.response_bytes_n) as response_bytes_n
  from ({segments}) as r
  {filter}
  group by 1, 2
) as r
join rollup_dimensions as d on d.id = r.dimensions_id
group by {group_by}
