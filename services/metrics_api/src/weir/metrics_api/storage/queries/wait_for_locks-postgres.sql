-- How long statements of this transaction wait for a lock, in ms.
select set_config('lock_timeout', ?, true)
