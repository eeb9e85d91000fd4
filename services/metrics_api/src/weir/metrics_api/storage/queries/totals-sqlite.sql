-- Running totals of every variant.
select variant, requests_2xx, requests_4xx, requests_5xx, tokens_input, tokens_output, tokens_cache_read, tokens_cache_write, rate_limit_rejections, upstream_errors, retry_attempts
from variant_totals
