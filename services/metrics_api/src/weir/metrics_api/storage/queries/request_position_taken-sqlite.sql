-- Whether a position in the table of requests is taken.
select 1 from completion_requests where id = ?
