-- Drop a schema that is empty.
drop schema {schema}
