"""Data blocks written for controllers: one file per target, from one description of the block."""
