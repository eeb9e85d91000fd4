select
  id >> 24 as bucket,
  id & 16777215 as dimensions_id,
  {columns}
from {table}
where id >= ? and id < ?
