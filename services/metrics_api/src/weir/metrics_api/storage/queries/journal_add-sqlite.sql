-- Count records of a journal that have just been stored.
insert into journals (proxy_id, journal, stored, numbered, last_sequence)
values (?, ?, ?, ?, ?)
on conflict (proxy_id, journal) do update set
  stored = stored + excluded.stored,
  numbered = numbered + excluded.numbered,
  last_sequence = max(last_sequence, excluded.last_sequence)
