-- Take a lock between processes until the transaction ends, if nobody has it.
select pg_try_advisory_xact_lock(?)
