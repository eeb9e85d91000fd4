-- Histograms of roll-up rows with their time slot and dimensions.
select
  {slot} as slot,
  {distributions},
  {groups}
from ({segments}) as r
join rollup_dimensions as d on d.id = r.dimensions_id
where {filter}
