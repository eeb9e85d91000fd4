"""The HTTP doors: they translate, and never touch storage."""
