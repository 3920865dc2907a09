"""What `python -m studies.why` is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Command:
    """Tell what stands behind a number of a table: runs, questions, grader, commit, command, configuration.

    Nothing is trained, and nothing is believed that does not fit the digests that a run left behind.
    """

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    """Folder of the study: results/main_table."""
    arm: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ARM")]
    """Row of the table."""
    suite: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SUITE")]
    """Column of scores: a suite, or an average ("average in distribution")."""
    json: bool = False
    """Print it as JSON."""


def read_command(arguments: Sequence[str] | None) -> Command:
    """Return a command line, the process's own if None; --help and what cannot be parsed exit here."""
    return tyro.cli(
        Command, prog="python -m studies.why", args=arguments, config=(tyro.conf.FlagCreatePairsOff,)
    )
