-- Forget a string.
delete from names where id = ?
