"""Which grader this is, for the records."""

from functools import cache
from importlib.metadata import version

# Raised whenever a rule changes that can change a grade.
RULES = 2


@cache
def grader_version() -> str:
    """Return the versions of our rules and of math-verify, such as `rules 2, math-verify 0.9.0`."""
    return f"rules {RULES}, math-verify {version('math-verify')}"
