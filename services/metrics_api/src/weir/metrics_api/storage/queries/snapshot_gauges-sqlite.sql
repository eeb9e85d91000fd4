-- Note the newest gauges of a bucket.
insert into {table} (bucket, variant, concurrent_requests, max_workers, rates)
values (?, ?, ?, ?, '')
on conflict (bucket, variant) do update set
  concurrent_requests = excluded.concurrent_requests,
  max_workers = excluded.max_workers
