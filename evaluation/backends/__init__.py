"""Models that are loaded to be evaluated, through lm-eval's own classes."""
