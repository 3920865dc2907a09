"""Evaluation: lm-eval tasks, the one grader of rewards and scores, records and statistics."""
