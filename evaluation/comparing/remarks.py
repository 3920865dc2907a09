"""The lines under the table that say what the compared records differ in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evaluation.comparing.cells import Cell
from evaluation.comparing.metrics import Metric
from evaluation.comparing.pairing import Pair

SETUP: Mapping[str, str] = {"backend": "backends", "dtype": "precisions of the weights"}


def protocol_notes(pairs: Sequence[Pair]) -> list[str]:
    """Return how answers were sampled, or in what this differs."""
    lines = []
    for pair in pairs:
        if pair.protocol:
            lines.append(
                f"{pair.title}: DIFFERENT PROTOCOLS, compared because --despite-protocol was given: "
                f"{'; '.join(pair.protocol)}."
            )
        if pair.shortened:
            lines.append(f"{pair.title}: only the questions that both have, in {', '.join(pair.shortened)}.")
    protocol = pairs[0].runs[0][1].header.protocol
    if not any(pair.protocol for pair in pairs):
        limit = protocol.limit
        asked = "all questions" if limit is None else f"the first {limit} questions of each suite"
        lines.append(
            f"Sampled at temperature {protocol.temperature}, top_p {protocol.top_p}, at most "
            f"{protocol.max_response_tokens:,} tokens; {asked}."
        )
    return [*lines, f"Graded by {pairs[0].baseline.runs[0].header.grader or 'an unknown grader'}."]


def record_notes(cells: Sequence[Cell], pairs: Sequence[Pair], metric: Metric) -> list[str]:
    """Return what is not compared, and what else of the records differs."""
    return [*_missing_notes(cells, pairs, metric), *_sample_notes(pairs, metric), *_setup_notes(pairs)]


def _missing_notes(cells: Sequence[Cell], pairs: Sequence[Pair], metric: Metric) -> list[str]:
    lines = []
    for pair in pairs:
        if pair.left_out:
            lines.append(f"{pair.title}: not compared, as not all have them: {', '.join(pair.left_out)}.")
        own = [cell for cell in cells if cell.pair is pair and not cell.is_average]
        scored = {cell.title for cell in own}
        unscored = [suite for suite in pair.questions if suite not in scored]
        if unscored:
            lines.append(f"{pair.title}: too few answers for {metric.name} on {', '.join(unscored)}.")
        partly = [f"{cell.title} ({cell.left_out})" for cell in own if cell.left_out]
        if partly:
            lines.append(
                f"{pair.title}: questions left out that an evaluation has no score for: {', '.join(partly)}."
            )
    return lines


def _sample_notes(pairs: Sequence[Pair], metric: Metric) -> list[str]:
    lines = []
    for pair in pairs:
        for suite in pair.questions:
            counts = [(label, run.header.suites[suite].samples) for label, run in pair.runs]
            if len({count for _, count in counts}) > 1:
                told = ", ".join(f"{count} ({label})" for label, count in counts)
                lines.append(
                    f"{pair.title} on {suite}: different numbers of answers to a question, {told}; "
                    f"{metric.name} is unbiased under each."
                )
    return lines


def _setup_notes(pairs: Sequence[Pair]) -> list[str]:
    lines = []
    for pair in pairs:
        for key, words in SETUP.items():
            values = {str(run.header.policy.get(key, "unknown")) for _, run in pair.runs}
            if len(values) > 1:
                lines.append(f"{pair.title}: different {words}: {', '.join(sorted(values))}.")
    return lines
