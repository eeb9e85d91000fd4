-- The newest hour in which a request matched.
select r.id
from rollup_1h as r
join rollup_dimensions as d on d.id = (r.id & 16777215)
where true {filter}
order by r.id desc
limit 1
