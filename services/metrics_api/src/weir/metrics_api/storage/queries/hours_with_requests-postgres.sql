-- The newest hours in which requests matched, each as often as combinations matched in it.
select r.id >> 24
from rollup_1h as r
join rollup_dimensions as d on d.id = (r.id & 16777215)
where r.id >= ? and r.id < ? {filter}
order by r.id desc
limit ?
