-- Up to where the shards of a table of sums have been merged (s since the epoch), whoever did it.
create table compaction (
  merged text primary key,               -- the table
  until bigint not null
);
