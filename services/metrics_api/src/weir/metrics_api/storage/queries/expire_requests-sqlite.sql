-- Delete the oldest requests, up to a position.
delete from completion_requests where id in (
  select id from completion_requests where id < ? order by id limit ?
)
