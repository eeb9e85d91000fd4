-- Keep an account, unless a later one of the same life is there.
insert into accounts (
  proxy_id, boot_id, sent_at, accepted, journaled, crashed, acknowledged, dropped, in_flight, in_journal,
  in_journal_bytes, closed
)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (proxy_id, boot_id) do update set
  sent_at = excluded.sent_at,
  accepted = excluded.accepted,
  journaled = excluded.journaled,
  crashed = excluded.crashed,
  acknowledged = excluded.acknowledged,
  dropped = excluded.dropped,
  in_flight = excluded.in_flight,
  in_journal = excluded.in_journal,
  in_journal_bytes = excluded.in_journal_bytes,
  closed = excluded.closed
where excluded.sent_at > accounts.sent_at
