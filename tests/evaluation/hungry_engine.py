"""An engine for a worker that takes as much memory as it is asked to."""

from evaluation.grading.outcomes import Verdict


def warm_up(settings):
    pass


def grade(request, settings):
    try:
        taken = b"x" * request["bytes"]
    except MemoryError:
        if request["swallow"]:  # as libraries do
            return Verdict("wrong", None, "swallowed")
        raise
    return Verdict("wrong", None, f"took {len(taken)}")
