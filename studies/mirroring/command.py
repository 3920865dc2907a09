"""What `python -m studies.mirror` is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

_TEXT = tyro.conf.arg(metavar="NAME", help_behavior_hint="")


@dataclass(frozen=True)
class Command:
    """Mirror a study's runs into TensorBoard or Weights & Biases: metrics, validations, final scores.

    May be repeated at any time, also while runs go on: nothing is shown twice. What a run took back, because
    it went on from an earlier checkpoint, is taken back in TensorBoard; in Weights & Biases the run begins
    anew under another id. Mirrors lie in FOLDER/mirrors: tensorboard --logdir FOLDER/mirrors/tensorboard.
    """

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    """Folder of the study: results/main_table."""
    to: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="NAME", help_behavior_hint="")
    ] = ()
    """tensorboard or wandb; may be repeated."""
    follow: bool = False
    """Go on until every run is finished or has failed."""
    project: Annotated[str | None, _TEXT] = None
    """Project in Weights & Biases; the study's name if it is left out."""
    entity: Annotated[str | None, _TEXT] = None
    """User or team in Weights & Biases; the account's own if it is left out."""
    group: Annotated[str | None, _TEXT] = None
    """Group of the runs in Weights & Biases; the study's name if it is left out."""
    offline: bool = False
    """Write Weights & Biases' files without an account; `wandb sync` sends them later."""


def read_command(arguments: Sequence[str] | None) -> Command:
    """Return a command line, the process's own if None; --help and what cannot be parsed exit here."""
    return tyro.cli(
        Command, prog="python -m studies.mirror", args=arguments, config=(tyro.conf.FlagCreatePairsOff,)
    )
