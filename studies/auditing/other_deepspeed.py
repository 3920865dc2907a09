"""Another version of DeepSpeed, installed into a folder of its own: nothing of the project's changes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from studies.catalog import UsageError


def cache_folder() -> Path:
    """Return where versions are kept: `quartet` in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "quartet"


def install(version: str) -> Path:
    """Return the folder of a version, which is downloaded where it is not there yet.

    Raises:
        UsageError: It is no version, or pip can't install it.
    """
    if not re.fullmatch(r"\d+(\.\w+)*", version):
        raise UsageError(f"--deepspeed {version!r} is no version; give one such as 0.18.9")
    folder = cache_folder() / f"deepspeed-{version}"
    if folder.is_dir():
        return folder
    sys.stderr.write(f"installing deepspeed {version} into {folder}\n")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Renamed when it is whole: a folder that is there is complete.
    half = Path(tempfile.mkdtemp(prefix=f"deepspeed-{version}-", dir=folder.parent))
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(half),
         f"deepspeed=={version}"],
        capture_output=True,
        text=True,
    )  # fmt: skip
    if done.returncode:
        shutil.rmtree(half)
        raise UsageError(f"--deepspeed {version}: pip can't install it: {done.stderr.strip()}")
    half.rename(folder)
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Return what makes processes import DeepSpeed from a folder, and compile its operations beside it."""
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    return {
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        # Versions of an operation have the same name in the usual folder.
        "TORCH_EXTENSIONS_DIR": f"{folder}-operations",
    }
