-- Forget strings that nobody has used for so many seconds.
delete from names where id = any(?::integer[]) and unused_since <= now() - make_interval(secs => ?)
