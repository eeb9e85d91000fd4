-- The minutes from a bucket on, newest first, by shard where there are several.
select
  bucket,
  variant,
  requests_2xx,
  requests_4xx,
  requests_5xx,
  tokens_input,
  tokens_output,
  tokens_cache_read,
  tokens_cache_write,
  rate_limit_rejections,
  upstream_errors,
  retry_attempts,
  concurrent_requests,
  max_workers,
  rates
from metrics_1m
where bucket >= ? {variant}
order by bucket desc, variant desc
