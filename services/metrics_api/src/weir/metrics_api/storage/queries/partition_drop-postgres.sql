-- Drop the table of a month.
drop table {table}
