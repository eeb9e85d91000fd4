-- Strings that repeat (models, users, upstreams …), once each.
create table names (
  id integer primary key,
  name text not null unique
) strict;

-- One row per request. `id` is started_at (µs since the epoch) * 2048 + a slot that keeps requests of the same
-- microsecond apart: the table itself is in order of time, so "newest first" needs no index, and every
-- index below ends with the time for free. Times are µs, null when unknown.
create table completion_requests (
  id integer primary key,
  request_id blob not null,              -- UUIDv7, 16 bytes
  started_at integer generated always as (id >> 11) virtual,
  outcome integer not null,              -- 0 completed, 1 client_error, 2 upstream_error, 3 timeout,
                                         -- 4 cancelled, 5 rejected, 6 truncated, 7 internal_error
  status_code integer,
  model_id integer,                      -- `*_id` refer to names
  model_requested_id integer,
  stream integer,
  tenant_id integer,
  project_id integer,
  api_key_id integer,
  user_id integer,
  provider_id integer,
  upstream_id integer,
  variant_id integer,
  endpoint_id integer not null,
  proxy_id integer not null,
  error_type_id integer,
  finish_reason_id integer,
  retries integer not null,
  queue_us integer,
  connect_us integer,
  upstream_headers_us integer,
  first_token_us integer,
  first_answer_us integer,
  last_token_us integer,
  duration_us integer,
  proxy_overhead_us integer,
  max_token_gap_us integer,
  prompt_tokens integer,
  completion_tokens integer,
  total_tokens integer,
  cache_read_tokens integer,
  cache_write_tokens integer,
  reasoning_tokens integer,
  usage_source integer not null,         -- 0 reported, 1 estimated, 2 missing
  request_bytes integer,
  response_bytes integer,
  content_chunks integer,
  client_request_id text,
  upstream_request_id text,
  trace_id text,
  span_id text,
  error_message text,
  metadata text,                         -- JSON
  attempts text,                         -- JSON, only when there was more than one
  usage_raw text,                        -- JSON, only where it says more than the columns above
  schema_version integer not null,
  filed_model_id integer generated always as (coalesce(model_id, model_requested_id)) virtual,
  tokens_per_second real generated always as (
    case when completion_tokens > 1 and last_token_us > first_token_us
         then (completion_tokens - 1) * 1000000.0 / (last_token_us - first_token_us) end) virtual
) strict;

create unique index completion_requests_request_id on completion_requests (request_id);
create index completion_requests_model on completion_requests (filed_model_id);
create index completion_requests_user on completion_requests (user_id) where user_id is not null;
create index completion_requests_project on completion_requests (project_id) where project_id is not null;
create index completion_requests_api_key on completion_requests (api_key_id) where api_key_id is not null;
create index completion_requests_not_completed on completion_requests (outcome) where outcome > 0;
create index completion_requests_not_ok on completion_requests (status_code) where status_code >= 300;

-- The combinations of dimensions that roll-up rows refer to.
create table rollup_dimensions (
  id integer primary key,
  key text not null unique,              -- the values as a JSON array, because a null is never equal in an index
  tenant text not null,
  project text,
  api_key_id text,
  provider text,
  upstream text,
  variant text not null,
  endpoint text not null,
  model text,
  stream integer,
  outcome text not null,
  status_code integer
) strict;

-- Sums per bucket and combination. `id` is the start of the bucket (s since the epoch) * 2^24 + rollup_dimensions.id.
create table rollup_5s (
  id integer primary key,
  requests integer not null,
  retries integer not null,
  usage_reported integer not null,
  prompt_tokens integer not null,
  prompt_tokens_n integer not null,      -- `*_n`: how many requests had the number at all
  completion_tokens integer not null,
  completion_tokens_n integer not null,
  cache_read_tokens integer not null,
  cache_read_tokens_n integer not null,
  cache_write_tokens integer not null,
  cache_write_tokens_n integer not null,
  reasoning_tokens integer not null,
  reasoning_tokens_n integer not null,
  request_bytes integer not null,
  request_bytes_n integer not null,
  response_bytes integer not null,
  response_bytes_n integer not null,
  latency blob,                          -- histograms: metrics/histogram.py
  ttft blob,
  tokens_per_second blob
) strict;

create table rollup_1m (
  id integer primary key,
  requests integer not null,
  retries integer not null,
  usage_reported integer not null,
  prompt_tokens integer not null,
  prompt_tokens_n integer not null,
  completion_tokens integer not null,
  completion_tokens_n integer not null,
  cache_read_tokens integer not null,
  cache_read_tokens_n integer not null,
  cache_write_tokens integer not null,
  cache_write_tokens_n integer not null,
  reasoning_tokens integer not null,
  reasoning_tokens_n integer not null,
  request_bytes integer not null,
  request_bytes_n integer not null,
  response_bytes integer not null,
  response_bytes_n integer not null,
  latency blob,
  ttft blob,
  tokens_per_second blob
) strict;

create table rollup_1h (
  id integer primary key,
  requests integer not null,
  retries integer not null,
  usage_reported integer not null,
  prompt_tokens integer not null,
  prompt_tokens_n integer not null,
  completion_tokens integer not null,
  completion_tokens_n integer not null,
  cache_read_tokens integer not null,
  cache_read_tokens_n integer not null,
  cache_write_tokens integer not null,
  cache_write_tokens_n integer not null,
  reasoning_tokens integer not null,
  reasoning_tokens_n integer not null,
  request_bytes integer not null,
  request_bytes_n integer not null,
  response_bytes integer not null,
  response_bytes_n integer not null,
  latency blob,
  ttft blob,
  tokens_per_second blob
) strict;

create table rollup_1d (
  id integer primary key,
  requests integer not null,
  retries integer not null,
  usage_reported integer not null,
  prompt_tokens integer not null,
  prompt_tokens_n integer not null,
  completion_tokens integer not null,
  completion_tokens_n integer not null,
  cache_read_tokens integer not null,
  cache_read_tokens_n integer not null,
  cache_write_tokens integer not null,
  cache_write_tokens_n integer not null,
  reasoning_tokens integer not null,
  reasoning_tokens_n integer not null,
  request_bytes integer not null,
  request_bytes_n integer not null,
  response_bytes integer not null,
  response_bytes_n integer not null,
  latency blob,
  ttft blob,
  tokens_per_second blob
) strict;

-- The same with fewer dimensions (storage/rollup_tables.py): what is asked most, in a fraction of the rows.
create table rollup_1m_brief (
  id integer primary key,
  requests integer not null,
  retries integer not null,
  usage_reported integer not null,
  prompt_tokens integer not null,
  prompt_tokens_n integer not null,
  completion_tokens integer not null,
  completion_tokens_n integer not null,
  cache_read_tokens integer not null,
  cache_read_tokens_n integer not null,
  cache_write_tokens integer not null,
  cache_write_tokens_n integer not null,
  reasoning_tokens integer not null,
  reasoning_tokens_n integer not null,
  request_bytes integer not null,
  request_bytes_n integer not null,
  response_bytes integer not null,
  response_bytes_n integer not null,
  latency blob,
  ttft blob,
  tokens_per_second blob
) strict;

create table rollup_1h_brief (
  id integer primary key,
  requests integer not null,
  retries integer not null,
  usage_reported integer not null,
  prompt_tokens integer not null,
  prompt_tokens_n integer not null,
  completion_tokens integer not null,
  completion_tokens_n integer not null,
  cache_read_tokens integer not null,
  cache_read_tokens_n integer not null,
  cache_write_tokens integer not null,
  cache_write_tokens_n integer not null,
  reasoning_tokens integer not null,
  reasoning_tokens_n integer not null,
  request_bytes integer not null,
  request_bytes_n integer not null,
  response_bytes integer not null,
  response_bytes_n integer not null,
  latency blob,
  ttft blob,
  tokens_per_second blob
) strict;

create table rollup_6h_brief (
  id integer primary key,
  requests integer not null,
  retries integer not null,
  usage_reported integer not null,
  prompt_tokens integer not null,
  prompt_tokens_n integer not null,
  completion_tokens integer not null,
  completion_tokens_n integer not null,
  cache_read_tokens integer not null,
  cache_read_tokens_n integer not null,
  cache_write_tokens integer not null,
  cache_write_tokens_n integer not null,
  reasoning_tokens integer not null,
  reasoning_tokens_n integer not null,
  request_bytes integer not null,
  request_bytes_n integer not null,
  response_bytes integer not null,
  response_bytes_n integer not null,
  latency blob,
  ttft blob,
  tokens_per_second blob
) strict;

create table rollup_1d_brief (
  id integer primary key,
  requests integer not null,
  retries integer not null,
  usage_reported integer not null,
  prompt_tokens integer not null,
  prompt_tokens_n integer not null,
  completion_tokens integer not null,
  completion_tokens_n integer not null,
  cache_read_tokens integer not null,
  cache_read_tokens_n integer not null,
  cache_write_tokens integer not null,
  cache_write_tokens_n integer not null,
  reasoning_tokens integer not null,
  reasoning_tokens_n integer not null,
  request_bytes integer not null,
  request_bytes_n integer not null,
  response_bytes integer not null,
  response_bytes_n integer not null,
  latency blob,
  ttft blob,
  tokens_per_second blob
) strict;

-- MetricSnapshots: what happened in a bucket (s since the epoch), per variant, and the newest gauges in it.
create table metrics_5s (
  bucket integer not null,
  variant text not null,
  requests integer not null default 0,
  errors integer not null default 0,
  requests_2xx integer not null default 0,
  requests_4xx integer not null default 0,
  requests_5xx integer not null default 0,
  tokens_input integer not null default 0,
  tokens_output integer not null default 0,
  tokens_cache_read integer not null default 0,
  tokens_cache_write integer not null default 0,
  rate_limit_rejections integer not null default 0,
  upstream_errors integer not null default 0,
  retry_attempts integer not null default 0,
  request_bytes integer not null default 0,
  request_bytes_n integer not null default 0,
  response_bytes integer not null default 0,
  response_bytes_n integer not null default 0,
  latency blob,                          -- of completed requests
  latency_p50 real,                      -- ms
  latency_p95 real,
  latency_p99 real,
  status_codes text not null default '{}', -- JSON: code -> requests
  concurrent_requests integer,
  max_workers integer,
  primary key (bucket, variant)
) strict, without rowid;

create table metrics_1m (
  bucket integer not null,
  variant text not null,
  requests integer not null default 0,
  errors integer not null default 0,
  requests_2xx integer not null default 0,
  requests_4xx integer not null default 0,
  requests_5xx integer not null default 0,
  tokens_input integer not null default 0,
  tokens_output integer not null default 0,
  tokens_cache_read integer not null default 0,
  tokens_cache_write integer not null default 0,
  rate_limit_rejections integer not null default 0,
  upstream_errors integer not null default 0,
  retry_attempts integer not null default 0,
  request_bytes integer not null default 0,
  request_bytes_n integer not null default 0,
  response_bytes integer not null default 0,
  response_bytes_n integer not null default 0,
  latency blob,
  latency_p50 real,
  latency_p95 real,
  latency_p99 real,
  status_codes text not null default '{}',
  concurrent_requests integer,
  max_workers integer,
  primary key (bucket, variant)
) strict, without rowid;

-- Running totals since first use. The total at a bucket is this minus all later buckets, so records that
-- come late and buckets that are deleted leave it true.
create table variant_totals (
  variant text primary key,
  requests_2xx integer not null default 0,
  requests_4xx integer not null default 0,
  requests_5xx integer not null default 0,
  tokens_input integer not null default 0,
  tokens_output integer not null default 0,
  tokens_cache_read integer not null default 0,
  tokens_cache_write integer not null default 0,
  rate_limit_rejections integer not null default 0,
  upstream_errors integer not null default 0,
  retry_attempts integer not null default 0
) strict, without rowid;
