"""Evaluations compared with each other, from their records alone."""
