"""What a page carries inside: data, scripts, and the promise that it loads nothing else."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from pathlib import Path

import vl_convert

from training.run_dir import write_atomically

FOLDER = Path(__file__).parent
_SNIPPET = "window.vegaEmbed = vegaEmbed;"
_UNSAFE = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&"})


def embedded_json(value: object) -> str:
    """Return JSON that can stand between script tags, whatever texts it holds."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).translate(_UNSAFE)


def policy(scripts: Sequence[str]) -> str:
    """Return the Content-Security-Policy of a page: no network, and no script but these.

    Vega's tooltip brings a style of its own, and Vega writes style attributes.
    """
    known = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {known}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@cache
def vega() -> str:
    """Return Vega, Vega-Lite and Vega-Embed in one script.

    vl-convert puts it together in about five seconds, so it is kept in the user's cache.
    """
    place = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    version = metadata.version("vl-convert-python")
    kept = Path(place) / "quartet" / f"vega-{version}.js"
    with contextlib.suppress(OSError):
        return kept.read_text(encoding="utf-8")
    script = vl_convert.javascript_bundle(_SNIPPET)
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError(f"the script bundle of vl-convert {version} would end its own tag")
    # Without a place to keep it, it is put together again.
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, script)
    return script


def own_file(name: str) -> str:
    """Return a file of this package."""
    return (FOLDER / name).read_text(encoding="utf-8")
