"""Pages for people who read or try the API: local files, nothing from elsewhere."""
