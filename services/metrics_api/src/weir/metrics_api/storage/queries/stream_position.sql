-- Up to which entry of a stream everything is stored.
select settled_ms, settled_number
from stream_positions
where stream = ?
