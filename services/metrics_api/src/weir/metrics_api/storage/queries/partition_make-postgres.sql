-- A table like that of all requests, indexes included.
create table {table} (like completion_requests including indexes)
