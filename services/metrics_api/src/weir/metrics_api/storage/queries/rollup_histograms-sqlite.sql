-- The histograms of cells that are there already.
select id, latency, ttft, tokens_per_second
from {table}
where id in (select value from json_each(?))
