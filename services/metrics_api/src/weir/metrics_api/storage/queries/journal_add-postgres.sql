-- Count records of a journal that have just been stored.
insert into journals as j (proxy_id, journal, shard, stored, numbered, last_sequence)
values (?, ?, ?, ?, ?, ?)
on conflict (proxy_id, journal, shard) do update set
  stored = j.stored + excluded.stored,
  numbered = j.numbered + excluded.numbered,
  last_sequence = greatest(j.last_sequence, excluded.last_sequence)
