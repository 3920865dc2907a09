"""report.html: one page that holds all of a study's report and needs no network."""
