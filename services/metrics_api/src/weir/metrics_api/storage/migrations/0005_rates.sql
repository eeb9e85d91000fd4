-- What a MetricSnapshot says of its minute alone, as the JSON that is answered, without braces; empty where
-- nothing was counted, null where it is not known: of 5 s, which are never asked for in such numbers.
alter table metrics_1m add column rates text;
alter table metrics_5s add column rates text;
