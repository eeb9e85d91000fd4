select 0 as bucket, r.dimensions_id, {sums}
from ({segments}) as r
group by r.dimensions_id
