-- How many strings there are, and the highest id.
select count(*), coalesce(max(id), 0) from names
