"""What travels between the levels and the log that keeps it."""
