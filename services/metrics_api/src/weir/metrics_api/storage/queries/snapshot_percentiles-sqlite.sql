-- Bring the percentiles (ms) of a snapshot up to date with its histogram (µs).
update {table} set
  latency_p50 = round(histogram_quantile(latency, 0.5) / 1000, 3),
  latency_p95 = round(histogram_quantile(latency, 0.95) / 1000, 3),
  latency_p99 = round(histogram_quantile(latency, 0.99) / 1000, 3)
where bucket = ? and variant = ? and latency is not null
