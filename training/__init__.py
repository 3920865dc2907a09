"""Training, blind to the algorithm: engine, rollouts, data, loop, checkpoints and the run directory."""
