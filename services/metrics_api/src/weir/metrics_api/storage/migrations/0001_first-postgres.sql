-- Strings that repeat (models, users, upstreams …), once each.
create table names (
  id integer generated always as identity primary key,
  name text not null unique
);

-- One row per request, in a table per month. The month is that of request_id, a UUIDv7, which begins with its
-- time: so the id alone says which table a request belongs to, and is unique over all of them.
-- `id` is the position: started_at (µs since the epoch) * 2048 + the end of request_id. Times are µs, null when
-- unknown. A NUL, which PostgreSQL has no text for, is escaped: storage/postgres/texts.py.
create table completion_requests (
  request_id uuid not null primary key,
  id bigint not null,
  outcome smallint not null,             -- 0 completed, 1 client_error, 2 upstream_error, 3 timeout,
                                         -- 4 cancelled, 5 rejected, 6 truncated, 7 internal_error
  usage_source smallint not null,        -- 0 reported, 1 estimated, 2 missing
  status_code integer,
  model_id integer,                      -- `*_id` refer to names
  model_requested_id integer,
  filed_model_id integer,                -- model_id, else model_requested_id
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
  schema_version integer not null,
  retries bigint not null,
  queue_us bigint,
  connect_us bigint,
  upstream_headers_us bigint,
  first_token_us bigint,
  first_answer_us bigint,
  last_token_us bigint,
  duration_us bigint,
  proxy_overhead_us bigint,
  max_token_gap_us bigint,
  prompt_tokens bigint,
  completion_tokens bigint,
  total_tokens bigint,
  cache_read_tokens bigint,
  cache_write_tokens bigint,
  reasoning_tokens bigint,
  request_bytes bigint,
  response_bytes bigint,
  content_chunks bigint,
  stream boolean,
  client_request_id text,
  upstream_request_id text,
  trace_id text,
  span_id text,
  error_message text,
  metadata text,                         -- JSON
  attempts text,                         -- JSON, only when there was more than one
  usage_raw text                         -- JSON, only where it says more than the columns above
) partition by range (request_id);

-- Ids that are no UUIDv7 of a likely time.
create table completion_requests_odd partition of completion_requests default;

create index completion_requests_id on completion_requests (id);
create index completion_requests_model on completion_requests (filed_model_id, id);
create index completion_requests_user on completion_requests (user_id, id) where user_id is not null;
create index completion_requests_project on completion_requests (project_id, id) where project_id is not null;
create index completion_requests_api_key on completion_requests (api_key_id, id) where api_key_id is not null;
create index completion_requests_not_completed on completion_requests (outcome, id) where outcome > 0;
create index completion_requests_not_ok on completion_requests (status_code, id) where status_code >= 300;

-- The combinations of dimensions that roll-up rows refer to.
create table rollup_dimensions (
  id integer generated always as identity primary key,
  key bytea not null unique,             -- a digest of the values, because a null is never equal in an index
  tenant text not null,
  project text,
  api_key_id text,
  provider text,
  upstream text,
  variant text not null,
  endpoint text not null,
  model text,
  stream boolean,
  outcome text not null,
  status_code integer
);

-- Sums per bucket, combination and shard. `id` is the start of the bucket (s since the epoch) * 2^24 +
-- rollup_dimensions.id. Each process that takes records in has a shard to itself, so that none waits for another;
-- readers add the shards up. Shard 0 is what has been merged.
create table rollup_5s (
  id bigint not null,
  shard smallint not null,
  requests bigint not null,
  retries bigint not null,
  usage_reported bigint not null,
  prompt_tokens bigint not null,
  prompt_tokens_n bigint not null,     -- `*_n`: how many requests had the number at all
  completion_tokens bigint not null,
  completion_tokens_n bigint not null,
  cache_read_tokens bigint not null,
  cache_read_tokens_n bigint not null,
  cache_write_tokens bigint not null,
  cache_write_tokens_n bigint not null,
  reasoning_tokens bigint not null,
  reasoning_tokens_n bigint not null,
  request_bytes bigint not null,
  request_bytes_n bigint not null,
  response_bytes bigint not null,
  response_bytes_n bigint not null,
  latency bytea,                         -- histograms: metrics/histogram.py
  ttft bytea,
  tokens_per_second bytea,
  primary key (id, shard)
) with (fillfactor = 80);

create table rollup_1m (
  id bigint not null,
  shard smallint not null,
  requests bigint not null,
  retries bigint not null,
  usage_reported bigint not null,
  prompt_tokens bigint not null,
  prompt_tokens_n bigint not null,
  completion_tokens bigint not null,
  completion_tokens_n bigint not null,
  cache_read_tokens bigint not null,
  cache_read_tokens_n bigint not null,
  cache_write_tokens bigint not null,
  cache_write_tokens_n bigint not null,
  reasoning_tokens bigint not null,
  reasoning_tokens_n bigint not null,
  request_bytes bigint not null,
  request_bytes_n bigint not null,
  response_bytes bigint not null,
  response_bytes_n bigint not null,
  latency bytea,
  ttft bytea,
  tokens_per_second bytea,
  primary key (id, shard)
) with (fillfactor = 80);

create table rollup_1h (
  id bigint not null,
  shard smallint not null,
  requests bigint not null,
  retries bigint not null,
  usage_reported bigint not null,
  prompt_tokens bigint not null,
  prompt_tokens_n bigint not null,
  completion_tokens bigint not null,
  completion_tokens_n bigint not null,
  cache_read_tokens bigint not null,
  cache_read_tokens_n bigint not null,
  cache_write_tokens bigint not null,
  cache_write_tokens_n bigint not null,
  reasoning_tokens bigint not null,
  reasoning_tokens_n bigint not null,
  request_bytes bigint not null,
  request_bytes_n bigint not null,
  response_bytes bigint not null,
  response_bytes_n bigint not null,
  latency bytea,
  ttft bytea,
  tokens_per_second bytea,
  primary key (id, shard)
) with (fillfactor = 80);

create table rollup_1d (
  id bigint not null,
  shard smallint not null,
  requests bigint not null,
  retries bigint not null,
  usage_reported bigint not null,
  prompt_tokens bigint not null,
  prompt_tokens_n bigint not null,
  completion_tokens bigint not null,
  completion_tokens_n bigint not null,
  cache_read_tokens bigint not null,
  cache_read_tokens_n bigint not null,
  cache_write_tokens bigint not null,
  cache_write_tokens_n bigint not null,
  reasoning_tokens bigint not null,
  reasoning_tokens_n bigint not null,
  request_bytes bigint not null,
  request_bytes_n bigint not null,
  response_bytes bigint not null,
  response_bytes_n bigint not null,
  latency bytea,
  ttft bytea,
  tokens_per_second bytea,
  primary key (id, shard)
) with (fillfactor = 80);

-- The same with fewer dimensions (storage/rollup_tables.py): what is asked most, in a fraction of the rows.
create table rollup_1m_brief (like rollup_1m including all) with (fillfactor = 80);
create table rollup_1h_brief (like rollup_1h including all) with (fillfactor = 80);
create table rollup_6h_brief (like rollup_1h including all) with (fillfactor = 80);
create table rollup_1d_brief (like rollup_1d including all) with (fillfactor = 80);

-- MetricSnapshots: what happened in a bucket (s since the epoch), per variant and shard, and the newest gauges in it.
create table metrics_5s (
  bucket bigint not null,
  variant text not null,
  shard smallint not null,
  requests bigint not null default 0,
  errors bigint not null default 0,
  requests_2xx bigint not null default 0,
  requests_4xx bigint not null default 0,
  requests_5xx bigint not null default 0,
  tokens_input bigint not null default 0,
  tokens_output bigint not null default 0,
  tokens_cache_read bigint not null default 0,
  tokens_cache_write bigint not null default 0,
  rate_limit_rejections bigint not null default 0,
  upstream_errors bigint not null default 0,
  retry_attempts bigint not null default 0,
  request_bytes bigint not null default 0,
  request_bytes_n bigint not null default 0,
  response_bytes bigint not null default 0,
  response_bytes_n bigint not null default 0,
  latency bytea,                         -- of completed requests
  latency_p50 double precision,          -- ms
  latency_p95 double precision,
  latency_p99 double precision,
  status_codes text not null default '{}', -- JSON: code -> requests
  concurrent_requests bigint,
  max_workers bigint,
  sampled_at bigint,                     -- when the two before were noted, s since the epoch
  primary key (bucket, variant, shard)
) with (fillfactor = 80);

create table metrics_1m (
  bucket bigint not null,
  variant text not null,
  shard smallint not null,
  requests bigint not null default 0,
  errors bigint not null default 0,
  requests_2xx bigint not null default 0,
  requests_4xx bigint not null default 0,
  requests_5xx bigint not null default 0,
  tokens_input bigint not null default 0,
  tokens_output bigint not null default 0,
  tokens_cache_read bigint not null default 0,
  tokens_cache_write bigint not null default 0,
  rate_limit_rejections bigint not null default 0,
  upstream_errors bigint not null default 0,
  retry_attempts bigint not null default 0,
  request_bytes bigint not null default 0,
  request_bytes_n bigint not null default 0,
  response_bytes bigint not null default 0,
  response_bytes_n bigint not null default 0,
  latency bytea,
  latency_p50 double precision,
  latency_p95 double precision,
  latency_p99 double precision,
  status_codes text not null default '{}',
  concurrent_requests bigint,
  max_workers bigint,
  sampled_at bigint,
  primary key (bucket, variant, shard)
) with (fillfactor = 80);

-- Running totals since first use. The total at a bucket is this minus all later buckets, so records that
-- come late and buckets that are deleted leave it true.
create table variant_totals (
  variant text not null,
  shard smallint not null,
  requests_2xx bigint not null default 0,
  requests_4xx bigint not null default 0,
  requests_5xx bigint not null default 0,
  tokens_input bigint not null default 0,
  tokens_output bigint not null default 0,
  tokens_cache_read bigint not null default 0,
  tokens_cache_write bigint not null default 0,
  rate_limit_rejections bigint not null default 0,
  upstream_errors bigint not null default 0,
  retry_attempts bigint not null default 0,
  primary key (variant, shard)
) with (fillfactor = 50);
