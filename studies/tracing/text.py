"""What stands behind a number, as text."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from studies.reporting.cells import heading, p_value, percent, signed
from studies.tracing.runs import FITS

WIDTH = 100
COMMAND = "Made again by"
SHORT = 12
"""Characters of a digest that are shown; --json has all."""


def as_text(found: Mapping[str, Any]) -> str:
    """Return `trace`'s answer for reading."""
    sections = {
        "": [_headline(found), *_difference(found["number"])],
        "Runs": _runs(found),
        "Questions": map(_suite, found["suites"]),
        "Protocol": [", ".join(f"{key} {_said(value)}" for key, value in found["protocol"].items())],
        "Grader": _values(found["grader"], str),
        "Made with": _made_with(found["provenance"]),
        "Gradient audit": found["audit"],
        "Not as it should be": found["problems"],
        COMMAND: [found["command"]],
        f"Configuration of {found['arm']}": _configuration(found["configuration"]),
        f"Records (the first {SHORT} digits of SHA-256)": _records(found["runs"]),
    }
    return "\n".join(_written(sections)).strip()


def _written(sections: Mapping[str, Any]) -> Iterator[str]:
    for name, lines in sections.items():
        told = list(lines)
        if told:
            yield from ["", *([name] if name else [])]
            for line in told:
                indent = "  " if name else ""
                if name == COMMAND:
                    yield f"{indent}{line}"  # on one line, to be copied
                    continue
                yield from textwrap.wrap(
                    line, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ",
                    break_long_words=False, break_on_hyphens=False, drop_whitespace=True,
                )  # fmt: skip


def _headline(found: Mapping[str, Any]) -> str:
    number = found["number"]
    name = f"{found['arm']} on {heading(found['column'])}"
    if number["mean"] is None:
        return f"{name}: no number; {number['status']}"
    asked = "n: as each suite has it below"
    if number["samples"] is not None:
        asked = f"n = {number['questions']:,} questions × {number['samples']} samples"
    missing = "" if number["status"] == "complete" else f"; {number['status']}"
    se = "n/a" if number["se"] is None else percent(number["se"])
    return (
        f"{name}: {percent(number['mean'])} ± {se} percent ({asked}, "
        f"{number['seeds']} of {number['seeds_wanted']} seeds{missing})"
    )


def _difference(number: Mapping[str, Any]) -> Iterator[str]:
    compared = number.get("difference")
    if compared and compared["difference"] is not None:
        error, p = (
            float("nan") if compared[key] is None else compared[key] for key in ("difference_se", "p_holm")
        )
        yield (
            f"difference to {compared['baseline']}: {signed(compared['difference'])} ± {percent(error)} "
            f"points (p {p_value(p)})"
        )


def _runs(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"in {found['runs_in']}"
    for run in found["runs"]:
        steps = "" if run["steps"] is None else f", {run['steps']} of {run['steps_wanted']} steps"
        times = "".join(f", {key} {run[key]}" for key in ("started", "finished") if run[key])
        reason = f": {run['reason']}" if run["reason"] else ""
        score = "no score" if run["score"] is None else f"score {percent(run['score'])}"
        yield f"seed {run['seed']}: {score}, {run['state']}{reason}{steps}{times} ({run['folder']})"


def _suite(suite: Mapping[str, Any]) -> str:
    if suite["questions"] is None:
        return f"{suite['suite']}: no finished run has asked it"
    side = "" if suite["split"] is None else f", {_said(suite['split'])}".replace("_", " ")
    changed = f", {_said(suite['unlisted'])} not of the task's own edition" if suite["unlisted"] else ""
    return (
        f"{suite['suite']}: {_said(suite['questions'])} questions × {suite['samples']} samples, version "
        f"{_said(suite['version'])}{side}{changed}, SHA-256 of its questions {_said(suite['sha256'])}"
    )


def _said(value: Any) -> str:  # noqa: ANN401
    return " / ".join(map(str, value)) if isinstance(value, list) else str(value)


def _values(values: Sequence[Mapping[str, Any]], told: Any) -> Iterator[str]:  # noqa: ANN401
    """Return what is the same in all runs as one line, and else whose it is."""
    for each in values:
        whose = f" (seeds {', '.join(map(str, each['seeds']))})" if len(values) > 1 else ""
        yield f"{told(each['value'])}{whose}"


def _made_with(provenance: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    yield from _values(provenance["commit"], lambda commit: f"commit {commit}")
    yield from _values(provenance["modified"], _modified)
    versions = [each["value"] for each in provenance["versions"]]
    names = list(dict.fromkeys(name for each in versions for name in each))
    same = [name for name in names if len({each.get(name) for each in versions}) == 1]
    if same:
        yield ", ".join(f"{name} {versions[0][name]}" for name in same)
    for name in (name for name in names if name not in same):
        each = [{"value": one["value"].get(name), "seeds": one["seeds"]} for one in provenance["versions"]]
        yield f"{name} differs: {', '.join(_values(each, str))}"
    yield from _values(provenance["machine"], str)


def _modified(files: Sequence[str]) -> str:
    if not files:
        return "no file differed from the commit"
    return f"{len(files)} files differed from the commit: {', '.join(files)}"


def _configuration(values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        yield f"{key} = {json.dumps(value, ensure_ascii=False)}"


def _records(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for run in runs:
        for name, record in run["records"].items():
            digest = (record["sha256"] or "")[:SHORT] or "–"
            now = record["now"] if record["now"] == FITS else record["now"].upper()
            yield f"{digest:{SHORT}} {now}: {run['folder']}/{name}"
