-- Add to the running totals of a variant.
insert into variant_totals (variant, requests_2xx, requests_4xx, requests_5xx, tokens_input, tokens_output, tokens_cache_read, tokens_cache_write, rate_limit_rejections, upstream_errors, retry_attempts)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (variant) do update set
  requests_2xx = requests_2xx + excluded.requests_2xx,
  requests_4xx = requests_4xx + excluded.requests_4xx,
  requests_5xx = requests_5xx + excluded.requests_5xx,
  tokens_input = tokens_input + excluded.tokens_input,
  tokens_output = tokens_output + excluded.tokens_output,
  tokens_cache_read = tokens_cache_read + excluded.tokens_cache_read,
  tokens_cache_write = tokens_cache_write + excluded.tokens_cache_write,
  rate_limit_rejections = rate_limit_rejections + excluded.rate_limit_rejections,
  upstream_errors = upstream_errors + excluded.upstream_errors,
  retry_attempts = retry_attempts + excluded.retry_attempts
