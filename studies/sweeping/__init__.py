"""Sweeps: what the best values of a study's settings, arguments and parts are, sought by Optuna."""
