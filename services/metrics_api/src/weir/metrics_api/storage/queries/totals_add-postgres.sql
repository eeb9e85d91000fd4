-- Add to the running totals of a variant.
insert into variant_totals as v (
  variant,
  shard,
  requests_2xx,
  requests_4xx,
  requests_5xx,
  tokens_input,
  tokens_output,
  tokens_cache_read,
  tokens_cache_write,
  rate_limit_rejections,
  upstream_errors,
  retry_attempts
)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (variant, shard) do update set
  requests_2xx = v.requests_2xx + excluded.requests_2xx,
  requests_4xx = v.requests_4xx + excluded.requests_4xx,
  requests_5xx = v.requests_5xx + excluded.requests_5xx,
  tokens_input = v.tokens_input + excluded.tokens_input,
  tokens_output = v.tokens_output + excluded.tokens_output,
  tokens_cache_read = v.tokens_cache_read + excluded.tokens_cache_read,
  tokens_cache_write = v.tokens_cache_write + excluded.tokens_cache_write,
  rate_limit_rejections = v.rate_limit_rejections + excluded.rate_limit_rejections,
  upstream_errors = v.upstream_errors + excluded.upstream_errors,
  retry_attempts = v.retry_attempts + excluded.retry_attempts
