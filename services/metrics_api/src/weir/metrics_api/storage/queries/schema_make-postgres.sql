-- A schema to keep what is replaced.
create schema {schema}
