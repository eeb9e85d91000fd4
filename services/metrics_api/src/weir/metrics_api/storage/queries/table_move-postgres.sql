-- Move a table, with its indexes and sequences, to another schema.
alter table {table} set schema {schema}
