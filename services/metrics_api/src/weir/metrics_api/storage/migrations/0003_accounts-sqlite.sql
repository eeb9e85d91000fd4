-- How many records of each journal of each proxy were stored, kept in the transaction that stores them; deleting
-- requests leaves it as it is. Records have numbers in their journal, so a gap in them is a record not stored.
create table journals (
  proxy_id text not null,
  journal text not null,                 -- the proxy's boot id, a dash, a number; '' where records do not say
  stored integer not null,
  numbered integer not null,             -- of them, those with a number
  last_sequence integer not null,        -- the highest number
  primary key (proxy_id, journal)
) strict, without rowid;

-- The last that is known of what every life of a proxy said of itself (weir.events.accounts).
create table accounts (
  proxy_id text not null,
  boot_id text not null,
  sent_at integer not null,              -- µs since the epoch
  accepted integer not null,
  journaled integer not null,
  crashed integer not null,
  acknowledged integer not null,
  dropped integer not null,
  in_flight integer not null,
  in_journal integer not null,
  in_journal_bytes integer not null,
  closed integer not null,
  primary key (proxy_id, boot_id)
) strict, without rowid;

-- Up to which entry everything in a stream is stored: where a group that was lost begins again.
create table stream_positions (
  stream text primary key,
  settled_ms integer not null,
  settled_number integer not null
) strict, without rowid;
