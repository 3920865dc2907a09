"""Rows of samples.jsonl, of which a test names what it is about."""

from evaluation.samples import Sample


def row(suite, question, sample, outcome, **values):
    """Return a sample; what is not given is as plain as can be."""
    return Sample(
        **{
            "suite": suite,
            "question": question,
            "sample": sample,
            "outcome": outcome,
            "extracted": "1",
            "how": "worker_died" if outcome == "error" else "exact",
            "tokens": 9,
            "truncated": False,
            "response": "r",
            "golds": ("1",),
            "prompt_sha256": "0" * 64,
            "seed": 0,
            "seconds": 0.1,
            "grading_seconds": 0.0,
            "task_version": "1",
            "grader_version": "test",
            **values,
        }
    )
