-- Commits are on the disk before they count, also where the server is set not to wait for it.
select set_config('synchronous_commit', 'on', false)
where current_setting('synchronous_commit') = 'off'
