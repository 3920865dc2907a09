"""Checkpoints that are whole or not there: written aside, checksummed, then renamed."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from training.ranks import Ranks

logger = logging.getLogger(__name__)

_MANIFEST = "checksums.json"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file() and path.name != _MANIFEST)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def save_checkpoint(
    folder: Path, step: int, write: Callable[[Path], None], keep: int, ranks: Ranks | None = None
) -> None:
    """Write the checkpoint of a step and drop all but the newest `keep` up to it.

    Later ones are dropped too: a run that writes this step went back behind them, as they were damaged.

    Args:
        folder: Where the run's checkpoints lie.
        step: Steps done; names the checkpoint.
        write: Fills the directory it is given; every rank is called.
        keep: How many checkpoints stay.
        ranks: The processes that write it together, on one file system.
    """
    ranks = ranks or Ranks()
    aside = folder / f"step-{step:06d}.partial"
    if ranks.first:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
    ranks.wait()
    write(aside)
    ranks.wait()
    if ranks.first:
        _complete(folder, step, aside)
        _drop_others(folder, step, keep)
    ranks.wait()


def _complete(folder: Path, step: int, aside: Path) -> None:
    """Give a checkpoint its checksums and then, once it is on the disk, its name."""
    final = folder / f"step-{step:06d}"
    manifest = {str(path.relative_to(aside)): _digest(path) for path in _files(aside)}
    (aside / _MANIFEST).write_text(json.dumps(manifest, indent=1))
    for path in [*aside.rglob("*"), aside]:
        _sync(path)
    shutil.rmtree(final, ignore_errors=True)
    aside.rename(final)
    _sync(folder)


def _drop_others(folder: Path, step: int, keep: int) -> None:
    steps = complete_checkpoints(folder)
    kept = [old for old in steps if old <= step][-keep:]
    for old in set(steps) - set(kept):
        shutil.rmtree(steps[old])


def complete_checkpoints(folder: Path) -> dict[int, Path]:
    """Return the complete checkpoints in a run's folder by step, oldest first, damaged ones among them."""
    paths = sorted(path for path in folder.glob("step-*") if not path.name.endswith(".partial"))
    return {int(path.name.removeprefix("step-")): path for path in paths}


def damage(checkpoint: Path) -> str | None:
    """Return what is wrong with a checkpoint, or None."""
    try:
        manifest = json.loads((checkpoint / _MANIFEST).read_text())
    except (OSError, ValueError) as error:
        return f"{_MANIFEST}: {error}"
    present = {str(path.relative_to(checkpoint)) for path in _files(checkpoint)}
    for name, digest in manifest.items():
        if name not in present:
            return f"{name} is missing"
        if _digest(checkpoint / name) != digest:
            return f"{name} does not match its checksum"
    return None


def newest_checkpoint(folder: Path, ranks: Ranks | None = None) -> tuple[int, Path] | None:
    """Return step and path of the newest undamaged checkpoint; damaged ones are named in the log.

    Rank 0 looks, and all are told: they go on from the same one.
    """
    ranks = ranks or Ranks()
    return ranks.from_first(_newest(folder) if ranks.first else None)


def _newest(folder: Path) -> tuple[int, Path] | None:
    for step, path in reversed(complete_checkpoints(folder).items()):
        wrong = damage(path)
        if wrong is None:
            return step, path
        logger.warning("checkpoint %s is damaged (%s); going back to the one before", path, wrong)
    return None
