-- Note the newest gauges of a bucket.
insert into {table} (bucket, variant, shard, concurrent_requests, max_workers, sampled_at, rates)
values (?, ?, ?, ?, ?, ?, '')
on conflict (bucket, variant, shard) do update set
  concurrent_requests = excluded.concurrent_requests,
  max_workers = excluded.max_workers,
  sampled_at = excluded.sampled_at
