"""Starts Python modules on several ranks, as `torchrun` does on a user's machine."""

import os
import subprocess
from pathlib import Path

from studies.running.launching import python_command

LAUNCHED = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
ROOT = Path(__file__).parents[2]


def environment():
    """Return the environment of processes that leave each other a core, and are nobody's ranks yet."""
    own = {key: value for key, value in os.environ.items() if key not in LAUNCHED}
    return {**own, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def run(ranks, module, *arguments, timeout=240):
    """Run `python -m module` on so many ranks and return what it printed; fail with its errors."""
    done = subprocess.run(
        python_command(ranks, module, [str(each) for each in arguments]),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    return done.stdout
