"""What the samples browser holds: recorded questions of training, with every response and its use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from studies.directories import run_directory
from studies.reporting.records import Records
from training.run_dir import ROLLOUTS

# Most recorded questions of a run that a page keeps; fewer are tried while all together are too many bytes.
KEPT = (40, 20, 10, 5, 2, 1)
BYTES = 1_200_000
# Most characters of a response: its beginning, and its end with the answer.
BEGINNING, END = 1_000, 500


class Recorded(NamedTuple):
    """The lines of a run's rollouts.jsonl."""

    arm: str
    seed: int
    lines: Sequence[bytes]


def samples_data(records: Records) -> dict[str, Any]:
    """Return what the samples browser shows, with a note of what it leaves out."""
    runs = list(_recorded(records))
    runs = [run for run in runs if run.lines]
    for kept in KEPT:
        chosen = [_kept(run, kept) for run in runs]
        if len(json.dumps(chosen)) <= BYTES:
            break
    responses = [response for run in chosen for record in run["records"] for response in record["responses"]]
    return {
        "runs": chosen,
        "outcomes": sorted({response["outcome"] for response in responses}),
        "terms": sorted({term for response in responses for term in response["terms"]}),
        "note": _note(runs, kept, any("left_out" in response for response in responses)),
    }


def _recorded(records: Records) -> list[Recorded]:
    finished = records.runs[records.runs["state"] == "finished"]
    pairs = zip(finished["arm"], finished["seed"], strict=True)
    return [Recorded(arm, int(seed), _lines(records.directory, arm, seed)) for arm, seed in pairs]


def _lines(folder: Path, arm: str, seed: int) -> Sequence[bytes]:
    path = run_directory(folder, arm, seed) / ROLLOUTS
    return path.read_bytes().splitlines() if path.is_file() else ()


def _kept(run: Recorded, kept: int) -> dict[str, Any]:
    """Return a run's records at even distances, the first and the last among them."""
    places = _spread(len(run.lines), kept)
    found = [_record(json.loads(run.lines[place])) for place in places]
    return {"arm": run.arm, "seed": run.seed, "recorded": len(run.lines), "records": found}


def _spread(count: int, kept: int) -> list[int]:
    if count <= kept:
        return list(range(count))
    if kept == 1:
        return [count - 1]
    places = [round(index * (count - 1) / (kept - 1)) for index in range(kept)]
    assert all(before < after for before, after in pairwise(places))
    return places


def _record(record: dict[str, Any]) -> dict[str, Any]:
    kept = {name: record[name] for name in ("step", "question", "prompt", "answer")}
    return kept | {"responses": [_response(response) for response in record["responses"]]}


def _response(response: dict[str, Any]) -> dict[str, Any]:
    kept = {name: response[name] for name in ("text", "reward", "outcome", "trained", "terms")}
    text = str(response["text"])
    if len(text) > BEGINNING + END:
        kept |= {"text": text[:BEGINNING], "end": text[-END:], "left_out": len(text) - BEGINNING - END}
    return kept


def _note(runs: Sequence[Recorded], kept: int, cut: bool) -> str:
    if not runs:
        return "No finished run has recorded responses."
    most = max(len(run.lines) for run in runs)
    shown = (
        f"This page keeps at most {kept} recorded questions a run, at even distances over its steps; runs "
        f"have recorded up to {most:,}. All are in each run's {ROLLOUTS}."
        if most > kept
        else f"All questions that runs have recorded are here: up to {most:,} a run."
    )
    shortened = f" Of long responses the first {BEGINNING:,} and last {END:,} characters are kept." * cut
    return shown + shortened
