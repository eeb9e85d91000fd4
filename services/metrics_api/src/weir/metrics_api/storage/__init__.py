"""Where records and roll-ups are kept. The rest of the service knows the port only."""
