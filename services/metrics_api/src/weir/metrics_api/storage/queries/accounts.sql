-- The last account that is known of every life of a proxy.
select
  proxy_id, boot_id, sent_at, accepted, journaled, crashed, acknowledged, dropped, in_flight, in_journal,
  in_journal_bytes, closed
from accounts
