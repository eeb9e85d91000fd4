-- Whether a request is stored.
select 1 from completion_requests where request_id = ?
