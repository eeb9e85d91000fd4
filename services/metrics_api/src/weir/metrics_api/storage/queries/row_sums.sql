-- Sums of the newest rows by time slot and dimensions, for what roll-ups do not know. Strings are numbers until
-- the end.
select
  r.slot,
  {totals},
  {distributions}
  {groups}
from (
  select
    {slot} as slot,
    {sums},
    {values}
    {group_ids}
  from (
    select * from completion_requests as r
    where r.id >= ? and r.id < ? {filter}
    order by r.id desc
    limit ?
  ) as r
  group by {group_by}
) as r
{joins}
