-- The ids of combinations of dimensions.
select key, id from rollup_dimensions where key = any(?::bytea[])
