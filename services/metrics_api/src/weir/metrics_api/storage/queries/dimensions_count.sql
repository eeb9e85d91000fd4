-- How many combinations of dimensions there are.
select count(*) from rollup_dimensions
