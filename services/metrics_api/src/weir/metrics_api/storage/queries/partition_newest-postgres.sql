-- Position of the newest request in the table of a month.
select max(id) from {table}
