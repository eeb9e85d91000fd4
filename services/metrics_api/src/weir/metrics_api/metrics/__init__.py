"""What Weir knows how to count. Pure: no I/O, no clock, no database."""
