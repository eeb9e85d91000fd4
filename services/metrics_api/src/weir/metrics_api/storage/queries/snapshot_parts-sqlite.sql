-- What of a snapshot must be merged.
select latency, status_codes
from {table}
where bucket = ? and variant = ?
