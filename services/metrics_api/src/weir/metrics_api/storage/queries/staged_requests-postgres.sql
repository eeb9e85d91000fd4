-- Where a batch waits while it is looked at: of its records, only those that are new go on.
create temporary table if not exists staged_requests (like completion_requests) on commit delete rows
