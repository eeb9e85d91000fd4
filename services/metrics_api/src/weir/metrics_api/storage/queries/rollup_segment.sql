select
  id >> 24 as bucket,
  id & 16777215 as dimensions_id,
  requests,
  retries,
  usage_reported,
  prompt_tokens,
  prompt_tokens_n,
  completion_tokens,
  completion_tokens_n,
  cache_read_tokens,
  cache_read_tokens_n,
  cache_write_tokens,
  cache_write_tokens_n,
  reasoning_tokens,
  reasoning_tokens_n,
  request_bytes,
  request_bytes_n,
  response_bytes,
  response_bytes_n
from {table}
where id >= ? and id < ?
