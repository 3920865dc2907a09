"""How the commands of evaluation end."""

from __future__ import annotations

import sys
from collections.abc import Callable

REFUSED, INTERRUPTED = 2, 130


def answer(carry_out: Callable[[], str], after_interruption: str = "") -> int:
    """Write what a command comes to on stdout, and return the process's exit code.

    Args:
        carry_out: Returns the text; ValueError and OSError say, on stderr, why it can't be carried out.
        after_interruption: What a user who pressed Ctrl-C should know.
    """
    try:
        sys.stdout.write(carry_out())
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return REFUSED
    except KeyboardInterrupt:
        sys.stderr.write(f"interrupted{after_interruption}\n")
        return INTERRUPTED
    return 0
