-- What kind of server and database this is.
select
  current_setting('server_version_num')::integer,
  current_setting('server_version'),
  current_setting('server_encoding')
