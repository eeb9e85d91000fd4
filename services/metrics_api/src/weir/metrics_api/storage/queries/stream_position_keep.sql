-- Note up to which entry of a stream everything is stored.
insert into stream_positions (stream, settled_ms, settled_number)
values (?, ?, ?)
on conflict (stream) do update set
  settled_ms = excluded.settled_ms,
  settled_number = excluded.settled_number
