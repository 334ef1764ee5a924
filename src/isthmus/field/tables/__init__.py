"""Rows of tables, whether of a database or of a file, as samples: what both sources share."""
