-- What was stored of every journal.
select proxy_id, journal, stored, numbered, last_sequence
from journals
