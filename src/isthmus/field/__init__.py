"""Level 1: heterogeneous machines become uniform data blocks."""
