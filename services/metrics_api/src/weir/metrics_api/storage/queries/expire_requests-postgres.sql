-- Delete the oldest requests, up to a position. Others may be at it: what they have locked is theirs.
delete from completion_requests where request_id = any(array(
  select request_id from completion_requests where id < ? order by id limit ? for update skip locked
))
