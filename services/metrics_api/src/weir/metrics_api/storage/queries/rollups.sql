-- Sums of roll-up rows by time slot and dimensions. Each group is known by its first combination until the
-- end: rows are sorted by two numbers, not by texts.
with wanted as materialized (
  select
    d.id,
    min(d.id) over (partition by {groups}) as first_id,
    {fates}
  from rollup_dimensions as d
  where true {filter}
)
select
  r.slot,
  {sums},
  {groups}
from (
  select
    {slot} as slot,
    wanted.first_id,
    {group_sums}
  from ({segments}) as r
  join wanted on wanted.id = r.dimensions_id
  group by 1, 2
) as r
join rollup_dimensions as d on d.id = r.first_id
