-- Take over the staged requests that are not there yet.
insert into completion_requests
select * from staged_requests
on conflict (request_id) do nothing
returning request_id
