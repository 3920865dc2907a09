"""What stands behind a number of a table."""
