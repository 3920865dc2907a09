"""The lines under a study's table: what ± means, what varied, what was left out, counted from the records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from evaluation.grading import OUTCOMES
from studies.reporting.records import Records
from studies.reporting.summaries import Distribution, averages


def score_notes(
    records: Records, summary: pd.DataFrame, distributions: Mapping[str, Distribution]
) -> list[str]:
    """Return the lines under the main table."""
    suites = summary[summary["suite"].isin(records.study.suites)]
    return [
        *records.audit_notes,
        "Scores are avg@k in percent, the mean over questions, samples and seeds ± one standard error.",
        *_error_notes(suites),
        *_varied(records),
        *[
            f"{name.replace('_', ' ').capitalize()}: equal weights for {', '.join(group)}."
            for name, group in averages(records.study.suites, distributions).items()
        ],
        "n: questions × samples that a seed's scores are over. Offline: demonstrations' share of all rows "
        "and of all response tokens trained on, in percent, mean over seeds.",
        *_verdicts(suites),
        *[f"Not as it should be: {' '.join(problem.split())}." for problem in records.problems],
    ]


def difference_notes(summary: pd.DataFrame) -> list[str]:
    """Return the lines under the table of differences."""
    compared = int(summary.groupby("suite")["p_holm"].count().max())
    paired = (
        "Percent points ± one standard error, paired by question and by seed, over the seeds that both have."
    )
    if not compared:
        return [paired, "p n/a: a test takes a second seed, and a spread."]
    return [
        paired,
        "p: two-sided, by Student's t with Satterthwaite's degrees of freedom, corrected by Holm's method "
        f"for the {compared} arms compared in a column; n/a without a second seed or without any spread.",
    ]


def refusal_notes(refused: Mapping[str, str]) -> list[str]:
    """Return the line that says which arms are compared with none, and why."""
    if not refused:
        return []
    told = "; ".join(f"{arm} {reason}" for arm, reason in refused.items())
    return [f"Refused, as they did not spend what the others of their budget spent: {told}."]


def _error_notes(suites: pd.DataFrame) -> list[str]:
    scored = suites[suites["mean"].notna()]
    single = list(dict.fromkeys(scored.loc[scored["seeds"] == 1, "arm"]))
    lines = []
    if (scored["seeds"] > 1).any():
        lines.append(
            "± is for new questions and new training seeds: questions and seeds are crossed random effects."
        )
    if single:
        lines.append(
            "With one finished seed ± is for new questions only and says nothing of other training seeds: "
            f"{', '.join(single)}."
        )
    if scored["se"].isna().any():
        lines.append("± n/a: one question is too few to estimate an error from.")
    if (scored["se"] == 0).any():
        lines.append("± 0.0 stands where all questions scored alike: what the formula gives, no certainty.")
    return lines


def _varied(records: Records) -> list[str]:
    """Return what varied, with counts: runs, seeds, suites with questions and versions, sampling."""
    runs, study = records.runs, records.study
    finished = int((runs["state"] == "finished").sum())
    lines = [
        f"Runs: {finished} of {len(runs)} finished. Seeds: {', '.join(map(str, study.seeds))}; a seed sets "
        "the order of questions, sampling in training and sampling in evaluation."
    ]
    if len(records.suites):
        described = records.suites.drop_duplicates(["suite", "version", "questions"])
        told = [
            f"{suite} ({questions} questions, version {version})"
            for suite, questions, version in zip(
                described["suite"], described["questions"], described["version"], strict=True
            )
        ]
        lines.append(f"Suites: {', '.join(told)}.")
    protocols: dict[str, list[str]] = {}
    for arm in study.arms:
        protocols.setdefault(_protocol(study.runs[arm]["evaluation"]), []).append(arm)
    for protocol, arms in protocols.items():
        lines.append(f"{'Every arm' if len(protocols) == 1 else ', '.join(arms)}: {protocol}.")
    return lines


def _protocol(evaluation: Mapping[str, Any]) -> str:
    limit = evaluation["limit"]
    asked = "all questions" if limit is None else f"the first {limit} questions of each suite"
    more = evaluation.get("suite_samples") or {}
    apart = "".join(
        f" ({count} of {suite})" for suite, count in more.items() if suite in evaluation["suites"]
    )
    return (
        f"{asked}, {evaluation['samples']} samples a question{apart}, "
        f"temperature {evaluation['temperature']}, top_p {evaluation['top_p']}, "
        f"at most {evaluation['max_response_tokens']} tokens"
    )


def _verdicts(suites: pd.DataFrame) -> list[str]:
    """Return how many answers were graded as what."""
    counts: dict[str, int] = {outcome: int(suites[outcome].sum()) for outcome in OUTCOMES}
    sampled = sum(counts.values())
    if not sampled:
        return []
    told = ", ".join(f"{outcome} {count:,}" for outcome, count in counts.items())
    lines = [
        f"Answers sampled: {sampled:,} ({told}); truncated {int(suites['truncated'].sum()):,}. Unparseable "
        "answers and those that ran into the grader's time limit earn nothing, as wrong ones do."
    ]
    if counts["error"]:
        left_out = int(suites["questions_left_out"].sum())
        lines.append(
            "Errors that an answer caused earn nothing, too. Answers on which the grader itself failed have "
            "no verdict and are left out of the means, and from an arm's scores the questions on which a "
            f"seed has no verdict: {left_out} in all arms and suites."
        )
    return lines
