-- How many records of each journal of each proxy were stored, kept in the transaction that stores them; deleting
-- requests leaves it as it is. Records have numbers in their journal, so a gap in them is a record not stored.
create table journals (
  proxy_id text not null,
  journal text not null,                 -- the proxy's boot id, a dash, a number; '' where records do not say
  shard smallint not null,
  stored bigint not null,
  numbered bigint not null,              -- of them, those with a number
  last_sequence bigint not null,         -- the highest number
  primary key (proxy_id, journal, shard)
) with (fillfactor = 50);

-- The last that is known of what every life of a proxy said of itself (weir.events.accounts).
create table accounts (
  proxy_id text not null,
  boot_id text not null,
  sent_at bigint not null,               -- µs since the epoch
  accepted bigint not null,
  journaled bigint not null,
  crashed bigint not null,
  acknowledged bigint not null,
  dropped bigint not null,
  in_flight bigint not null,
  in_journal bigint not null,
  in_journal_bytes bigint not null,
  closed boolean not null,
  primary key (proxy_id, boot_id)
) with (fillfactor = 50);

-- Up to which entry everything in a stream is stored: where a group that was lost begins again.
create table stream_positions (
  stream text primary key,
  settled_ms bigint not null,
  settled_number bigint not null
) with (fillfactor = 50);
