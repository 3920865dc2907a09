"""Studies: what is compared, how it is run, and the tables and figures made of the records."""
