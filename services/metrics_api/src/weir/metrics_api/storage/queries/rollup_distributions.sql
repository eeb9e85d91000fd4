-- Histograms of roll-up rows with their time slot, their sign and their dimensions.
select
  {slot} as slot,
  r.sign,
  {distributions},
  {groups}
from ({segments}) as r
join rollup_dimensions as d on d.id = r.dimensions_id
{filter}
