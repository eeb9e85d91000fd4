-- Note that no request refers to strings any more.
update names set unused_since = now() where id = any(?::integer[]) and unused_since is null
