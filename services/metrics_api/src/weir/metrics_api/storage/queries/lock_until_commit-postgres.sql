-- Wait for a lock between processes and hold it until the transaction ends.
select pg_advisory_xact_lock(?)
