-- Sums of the newest rows by time slot and dimensions, for what roll-ups do not know.
select
  {slot} as slot,
  count(*),
  cast(sum(r.retries) as bigint),
  count(*) filter (where r.usage_source = 0),
  cast(coalesce(sum(r.prompt_tokens), 0) as bigint),
  count(r.prompt_tokens),
  cast(coalesce(sum(r.completion_tokens), 0) as bigint),
  count(r.completion_tokens),
  cast(coalesce(sum(r.cache_read_tokens), 0) as bigint),
  count(r.cache_read_tokens),
  cast(coalesce(sum(r.cache_write_tokens), 0) as bigint),
  count(r.cache_write_tokens),
  cast(coalesce(sum(r.reasoning_tokens), 0) as bigint),
  count(r.reasoning_tokens),
  cast(coalesce(sum(r.request_bytes), 0) as bigint),
  count(r.request_bytes),
  cast(coalesce(sum(r.response_bytes), 0) as bigint),
  count(r.response_bytes),
  count(*) filter (where r.outcome in ({errors})),
  count(*) filter (where r.outcome = 0),
  count(*) filter (where r.outcome = 0 and r.usage_source = 0),
  {distributions}
  {groups}
from (
  select * from completion_requests as r
  where r.id >= ? and r.id < ? {filter}
  order by r.id desc
  limit ?
) as r
{joins}
group by {group_by}
