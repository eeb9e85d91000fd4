"""What happens now, to whoever listens."""
