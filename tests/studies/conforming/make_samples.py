"""Writes the sample cases: python -m tests.studies.conforming.make_samples."""

import json
import math
import re
from pathlib import Path

import torch

from tests.studies.conforming.samples_trl import trl_cases, trl_extended
from tests.studies.conforming.samples_trl_edges import trl_edges
from tests.studies.conforming.samples_verl import verl_cases, verl_extended

DATA = Path(__file__).parent / "data"
FILES = {
    "trl": trl_cases,
    "verl": verl_cases,
    "trl_extended": trl_extended,
    "verl_extended": verl_extended,
    "trl_edges": trl_edges,
}


def samples():
    """Return the content of each sample file."""
    torch.set_default_dtype(torch.float64)
    try:
        return {name: [_null(case) for case in cases()] for name, cases in FILES.items()}
    finally:
        torch.set_default_dtype(torch.float32)


def main():
    DATA.mkdir(exist_ok=True)
    for name, cases in samples().items():
        content = {
            "generator": "tests/studies/conforming/make_samples.py",
            "options": name.partition("_")[0],
            "cases": cases,
        }
        text = json.dumps(content, indent=1)
        # A row of numbers on one line.
        text = re.sub(r"\[\s+((?:[-+.\de]+|null)(?:,\s+(?:[-+.\de]+|null))*)\s+\]", _joined, text)
        (DATA / f"{name}.json").write_text(text + "\n")


def _null(content):
    """Return the content with null where it is not a number."""
    if isinstance(content, dict):
        return {name: _null(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_null(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content


def _joined(match):
    return "[" + " ".join(match.group(1).split()) + "]"


if __name__ == "__main__":
    main()
