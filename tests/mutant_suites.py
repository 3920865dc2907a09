"""Run suites again and again without importing torch again and again.

A script: a line of standard input names suites, by spaces; the line that answers is pytest's exit code. Each
is run by a fork of this process, which has imported what is slow to import and nothing of the project.
"""

import os
import sys

import beartype  # noqa: F401
import hypothesis  # noqa: F401
import jaxtyping  # noqa: F401
import numpy  # noqa: F401
import pytest
import torch

OPTIONS = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:benchmark"]


def main():
    """Answer until there are no more lines."""
    torch.set_num_threads(1)
    replies, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.dup2(2, 1)
            os._exit(pytest.main([*OPTIONS, *line.split()]))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        replies.write(f"{code}\n")
        replies.flush()


if __name__ == "__main__":
    main()
