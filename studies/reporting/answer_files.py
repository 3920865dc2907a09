"""The answers of an evaluation as columns, read fast.

Wherever a file is not exactly what it should be, evaluation/records.py reads it again line by line and says
what is wrong and where.
"""

from __future__ import annotations

import hashlib
import math
import typing
from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from evaluation.records import Evaluation, SuiteInfo, answers, read_evaluation, read_header
from evaluation.samples import FILE, GRADER_FAILED, Sample

# Responses stay on disk: no statistic needs them, and they are most of samples.jsonl.
REPEATED = ("suite", "question", "level", "prompt_sha256", "outcome")
"""Columns of strings that are repeated: dictionaries and numbers that point into them take less memory."""

_TYPES = typing.get_type_hints(Sample)
_Row = msgspec.defstruct(
    "_Row", [(each.name, _TYPES[each.name]) for each in fields(Sample)], forbid_unknown_fields=True, gc=False
)
_DECODER = msgspec.json.Decoder(_Row)


def read_answers(directory: Path) -> tuple[Evaluation, pa.Table]:
    """Return a finished evaluation, and a row for each sample: REPEATED, sample, earned, truncated.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is not finished, or damaged, or its samples are not those it announces.
    """
    header = read_header(directory)
    table = None if header is None else _read_fast(directory / FILE, header)
    if header is None or table is None:
        return read_evaluation(directory), _columns(list(answers(directory)))
    return header, table


def _read_fast(path: Path, header: Evaluation) -> pa.Table | None:
    """Return the samples; None where the careful reader must look, which raises for all that is wrong."""
    try:
        data = path.read_bytes()
        rows = _DECODER.decode_lines(data)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    whole = header.finished and hashlib.sha256(data).hexdigest() == header.samples_sha256
    if not whole or not data.endswith(b"\n") or data.count(b"\n") != len(rows):
        return None
    table = _columns(rows)
    return table if _agrees(header.suites, table) else None


def _columns(rows: Sequence[Any]) -> pa.Table:
    def column(name: str) -> list[Any]:
        return list(map(attrgetter(name), rows))

    outcomes = column("outcome")
    earned: list[float | None] = [float(outcome == "correct") for outcome in outcomes]
    if "error" in outcomes:
        failed = (each.outcome == "error" and each.how.startswith(GRADER_FAILED) for each in rows)
        earned = [None if lost else value for lost, value in zip(failed, earned, strict=True)]
    named = {name: pa.array(column(name), pa.string()).dictionary_encode() for name in REPEATED}
    return pa.table(
        named
        | {
            "sample": pa.array(column("sample"), pa.int64()),
            "earned": pa.array(earned, pa.float64()),
            "truncated": pa.array(column("truncated"), pa.bool_()),
        }
    )


def _agrees(suites: typing.Mapping[str, SuiteInfo], table: pa.Table) -> bool:
    """Return whether the samples are those that eval.json announces, and earned what it says they did."""
    named, suite = _codes(table, "suite")
    names, question = _codes(table, "question")
    sample = table["sample"].to_numpy()
    if set(named) != set(suites) or sample.min() < 0:
        return False
    infos = [suites[name] for name in named]
    expected = [info.questions * info.samples for info in infos]
    in_range = sample < np.array([info.samples for info in infos])[suite]
    key = suite * len(names) + question
    distinct = len(np.unique(key * (sample.max() + 1) + sample)) == len(key)
    if not (distinct and in_range.all() and np.bincount(suite).tolist() == expected):
        return False
    shape = (len(named), len(names))
    earned = table["earned"].to_numpy()
    graded = np.bincount(key, np.isfinite(earned), math.prod(shape)).reshape(shape)
    correct = np.bincount(key, np.nan_to_num(earned), math.prod(shape)).reshape(shape)
    means = [
        float((right[count > 0] / count[count > 0]).mean()) if count.any() else None
        for right, count in zip(correct, graded, strict=True)
    ]
    return all(_same(mean, info.avg_at_k) for mean, info in zip(means, infos, strict=True))


def _codes(table: pa.Table, name: str) -> tuple[list[str], np.ndarray[Any, np.dtype[np.int64]]]:
    encoded = table[name].combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)


def _same(own: float | None, told: float | None) -> bool:
    if own is None or told is None:
        return own is told
    return math.isclose(own, told, rel_tol=0, abs_tol=1e-9)
