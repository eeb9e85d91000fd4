-- Where the roll-up rows of a batch wait, of all levels (0 for 5 s, 1 for 1 min …).
create temporary table if not exists staged_cells (level smallint not null, like rollup_5s) on commit delete rows
