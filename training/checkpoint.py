"""Checkpoints that are whole or not there: written aside, checksummed, then renamed."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

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


def save_checkpoint(folder: Path, step: int, write: Callable[[Path], None], keep: int) -> None:
    """Write the checkpoint of a step and drop all but the newest `keep` up to it.

    Later ones are dropped too: a run that writes this step went back behind them, as they were damaged.

    Args:
        folder: Where the run's checkpoints lie.
        step: Steps done; names the checkpoint.
        write: Fills the directory it is given.
        keep: How many checkpoints stay.
    """
    aside, final = folder / f"step-{step:06d}.partial", folder / f"step-{step:06d}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    write(aside)
    manifest = {str(path.relative_to(aside)): _digest(path) for path in _files(aside)}
    (aside / _MANIFEST).write_text(json.dumps(manifest, indent=1))
    for path in [*aside.rglob("*"), aside]:
        _sync(path)
    shutil.rmtree(final, ignore_errors=True)
    aside.rename(final)
    _sync(folder)
    steps = _steps(folder)
    kept = [old for old in steps if old <= step][-keep:]
    for old in set(steps) - set(kept):
        shutil.rmtree(folder / f"step-{old:06d}")


def _steps(folder: Path) -> list[int]:
    """Return the steps of complete checkpoints, oldest first."""
    names = (path.name for path in folder.glob("step-*") if not path.name.endswith(".partial"))
    return sorted(int(name.removeprefix("step-")) for name in names)


def _damage(checkpoint: Path) -> str | None:
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


def newest_checkpoint(folder: Path) -> tuple[int, Path] | None:
    """Return step and path of the newest undamaged checkpoint; damaged ones are named in the log."""
    for step in reversed(_steps(folder) if folder.is_dir() else []):
        path = folder / f"step-{step:06d}"
        damage = _damage(path)
        if damage is None:
            return step, path
        logger.warning("checkpoint %s is damaged (%s); going back to the one before", path, damage)
    return None
