-- Position of the newest request that matches, from a position on.
select r.id
from completion_requests as r
where r.id >= ? {filter}
order by r.id desc
limit 1
