"""What a study will need, computed before any of it runs: memory, tokens, FLOPs, hours, disk."""
