-- Keep everybody from the requests until the transaction ends; their tables of months are not locked by it.
lock table only completion_requests in access exclusive mode
