-- Make a table hold the requests whose ids are in a range.
alter table completion_requests attach partition {table} for values from ('{first}') to ('{end}')
