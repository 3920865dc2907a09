"""From run directories to tables and figures, and nothing else."""
