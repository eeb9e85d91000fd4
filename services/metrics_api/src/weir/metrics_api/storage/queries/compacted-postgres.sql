-- Up to where a table of sums has been merged.
select until from compaction where merged = ?
