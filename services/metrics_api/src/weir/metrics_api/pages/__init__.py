"""Pages for people who read or try the API: plain files, nothing from elsewhere, no build."""
