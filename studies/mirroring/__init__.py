"""Copies of runs' metrics for experiment trackers; records stay what counts."""
