"""The embedded world: arithmetic with worked solutions, a base policy that slips, and suites of both."""
