where r.dimensions_id in (
  select d.id from rollup_dimensions as d where true {filter}
)
