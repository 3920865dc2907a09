"""What can be said of an algorithm before any run: read from its parts, or computed on small steps."""
