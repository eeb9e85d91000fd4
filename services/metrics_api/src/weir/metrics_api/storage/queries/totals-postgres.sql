-- Running totals of every variant.
select
  variant,
  cast(sum(requests_2xx) as bigint),
  cast(sum(requests_4xx) as bigint),
  cast(sum(requests_5xx) as bigint),
  cast(sum(tokens_input) as bigint),
  cast(sum(tokens_output) as bigint),
  cast(sum(tokens_cache_read) as bigint),
  cast(sum(tokens_cache_write) as bigint),
  cast(sum(rate_limit_rejections) as bigint),
  cast(sum(upstream_errors) as bigint),
  cast(sum(retry_attempts) as bigint)
from variant_totals
group by variant
