"""The table of one evaluation, as Markdown; every word is fixed or computed from its records."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from evaluation.answers import SuiteAnswers
from evaluation.markdown import escape_markdown, markdown_table
from evaluation.protocols import CONTAINED, averaged
from evaluation.records import Evaluation, SuiteInfo
from evaluation.statistics.intervals import score_interval
from evaluation.statistics.scores import Array, mean_score

NOTHING = "–"
SPLITS = {"in_distribution": "average in distribution", "out_of_distribution": "average out of distribution"}
COLUMNS = (
    "suite",
    "questions × samples",
    "avg@k",
    "95 % interval",
    "maj@k",
    "pass@k",
    "unparseable / timeout / error",
    "truncated",
    "tokens",
)


def score_table(evaluation: Evaluation, answers: Mapping[str, SuiteAnswers]) -> str:
    """Return the scores of a finished evaluation, an average for each side of the training distribution."""
    rows = [_row(name, info, answers[name]) for name, info in evaluation.suites.items()]
    for split, title in SPLITS.items():
        names = averaged([name for name, info in evaluation.suites.items() if info.split == split])
        if len(names) > 1:
            rows.append(_average(title, [answers[name].avg_at_k() for name in names]))
    notes = "\n".join(f"- {escape_markdown(note)}" for note in _notes(evaluation))
    return f"{markdown_table([COLUMNS, *rows], ('suite',))}\n\n{notes}\n"


def _row(name: str, info: SuiteInfo, answers: SuiteAnswers) -> list[str]:
    k = answers.least
    several = info.samples > 1 and k > 1
    other = [info.outcomes.get(outcome, 0) for outcome in ("unparseable", "timeout", "error")]
    count = info.questions * info.samples
    return [
        name,
        f"{info.questions:,} × {info.samples:,}",
        *_score([answers.avg_at_k()]),
        _plain(answers.majority_at_k(k), k) if several else NOTHING,
        _plain(answers.pass_at_k(k // 2), k // 2) if several else NOTHING,
        " / ".join(map(str, other)),
        f"{100 * info.truncated / count:.1f} %",
        f"{info.tokens / count:,.0f}",
    ]


def _average(title: str, suites: Sequence[Array]) -> list[str]:
    return [title, NOTHING, *_score(suites), *[NOTHING] * (len(COLUMNS) - 4)]


def _score(suites: Sequence[Array]) -> tuple[str, str]:
    score, interval = mean_score(suites), score_interval(suites)
    bounds = NOTHING
    if not math.isnan(interval.low):
        bounds = f"{100 * interval.low:.1f} to {100 * interval.high:.1f} ({interval.method})"
    return f"{_percent(score.mean)} ± {_percent(score.standard_error)}", bounds


def _plain(suite: Array, k: int) -> str:
    score = mean_score([suite])
    return f"{_percent(score.mean)} ± {_percent(score.standard_error)} (k = {k})"


def _percent(share: float) -> str:
    return "n/a" if math.isnan(share) else f"{100 * share:.1f}"


def _notes(evaluation: Evaluation) -> list[str]:
    protocol, suites = evaluation.protocol, evaluation.suites
    asked = (
        "all questions" if protocol.limit is None else f"the first {protocol.limit} questions of each suite"
    )
    seed = protocol.option_seed
    options = "in the data's order" if seed is None else f"shuffled by seed {seed}"
    notes = [
        "In percent ± one standard error, which is for new questions like these: the spread of questions' "
        "own scores over √questions. It says nothing of other training seeds.",
        "maj@k: majority vote among all samples. pass@k: unbiased, at half of the samples. Averages over "
        "suites have equal weights. Tokens: mean of an answer.",
        f"Sampled at temperature {protocol.temperature}, top_p {protocol.top_p}, at most "
        f"{protocol.max_response_tokens:,} tokens, seed {evaluation.seed}; {asked}; options of multiple "
        f"choice {options}.",
        f"Graded by {evaluation.grader}. Unparseable answers and those that ran into the grader's time limit "
        "earn nothing, and so do errors that an answer caused (memory, what cannot be evaluated); answers on "
        "which the grader itself failed have no verdict and are left out.",
        f"Suites: {', '.join(f'{name} version {info.version}' for name, info in suites.items())}.",
    ]
    for inner, outer in CONTAINED.items():
        if inner in suites and outer in suites:
            notes.append(f"Averages leave {inner} out: its questions are all in {outer}.")
    changed = [f"{name} ({info.unlisted} of its questions)" for name, info in suites.items() if info.unlisted]
    if changed:
        notes.append(f"Not those that the tasks were written for: {', '.join(changed)}.")
    return notes
