"""Carrying runs out: the queue, worker processes, their folders and the display of progress."""
