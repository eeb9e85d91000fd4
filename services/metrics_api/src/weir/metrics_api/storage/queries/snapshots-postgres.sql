-- Snapshots from a bucket on, oldest first, by shard. Histograms come only where shards must be merged.
select
  bucket,
  variant,
  requests,
  errors,
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
  request_bytes,
  request_bytes_n,
  response_bytes,
  response_bytes_n,
  latency_p50,
  latency_p95,
  latency_p99,
  status_codes,
  concurrent_requests,
  max_workers,
  sampled_at,
  case when count(*) over (partition by bucket, variant) > 1 then latency end as latency
from {table}
where bucket >= ?
order by bucket, variant, shard
