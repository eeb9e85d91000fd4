-- How many requests are stored and when the oldest began (its position): roll-ups of days are never deleted.
select (select cast(sum(requests) as bigint) from rollup_1d), (select min(id) from completion_requests)
