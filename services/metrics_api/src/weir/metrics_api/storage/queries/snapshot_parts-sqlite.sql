-- What was counted of a snapshot so far.
select
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
  latency,
  status_codes
from {table}
where bucket = ? and variant = ?
