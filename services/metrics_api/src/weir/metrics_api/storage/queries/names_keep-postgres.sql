-- Strings that are used again; those that are gone are not among what comes back.
update names set unused_since = null where id = any(?::integer[]) returning id
