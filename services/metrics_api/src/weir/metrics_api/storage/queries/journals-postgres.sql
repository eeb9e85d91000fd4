-- What was stored of every journal.
select proxy_id, journal, cast(sum(stored) as bigint), cast(sum(numbered) as bigint), max(last_sequence)
from journals
group by proxy_id, journal
