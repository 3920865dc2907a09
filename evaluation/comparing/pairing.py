"""Whether two methods can be compared: what differs and must not is refused by name, with the way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluation.comparing.methods import ComparisonError, Method, Run

PROTOCOL: Mapping[str, str] = {
    "temperature": "--temperature",
    "top_p": "--top-p",
    "max_response_tokens": "--max-tokens",
    "limit": "--limit",
}
"""What of a protocol must be equal, with the option of evaluation.run that sets it.

The number of samples may differ, as scores are unbiased; the order of options is told by the prompts.
"""

PROMPTS = "evaluate again with one --template and --option-seed; for models of other chat templates, say "


@dataclass(frozen=True)
class Pair:
    """A method and the baseline on the same questions.

    Args:
        baseline: What differences are taken to.
        method: The other.
        questions: Of each suite that is compared, in the baseline's order.
        splits: "in_distribution", "out_of_distribution" or None of each.
        left_out: Suites that not every evaluation has.
        protocol: What of the protocols differs, in words; empty unless that was asked for.
        shortened: Suites of which some evaluation has more questions than are compared.
    """

    baseline: Method
    method: Method
    questions: Mapping[str, tuple[str, ...]]
    splits: Mapping[str, str | None]
    left_out: tuple[str, ...] = ()
    protocol: tuple[str, ...] = ()
    shortened: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Return the name of the difference."""
        return f"{self.method.name} − {self.baseline.name}"

    @property
    def runs(self) -> list[tuple[str, Run]]:
        """Return the evaluations of both, the baseline's first, with what they are called."""
        return [(method.label(run), run) for method in (self.baseline, self.method) for run in method.runs]


def pair(baseline: Method, method: Method, *, despite_protocol: bool = False) -> Pair:
    """Return a method and the baseline on the suites that both have.

    Args:
        baseline: What differences are taken to.
        method: The other.
        despite_protocol: Compare under different protocols and prompts, on the questions that all have.

    Raises:
        ComparisonError: They cannot be compared.
    """
    _check_seeds(baseline, method)
    found = Pair(baseline, method, {}, {})
    (first_label, first), *others = found.runs
    _check_grader(found)
    suites, left_out = _common_suites(found)
    for label, run in others:
        _check_tasks((first_label, first), (label, run), suites)
    differing = _protocol_differences(found, suites)
    if differing and not despite_protocol:
        raise ComparisonError(
            f"{method.name} and {baseline.name} were evaluated under different protocols: "
            f"{'; '.join(differing.values())}. Evaluate again with one protocol "
            f"({', '.join(PROTOCOL[name] for name in differing)}), or say --despite-protocol"
        )
    questions = {suite: _common_questions(found, suite) for suite in suites}
    prompts = [told for suite in suites if (told := _prompt_differences(found, suite, questions[suite]))]
    if prompts and not despite_protocol:
        raise ComparisonError(f"{prompts[0]}; {PROMPTS}--despite-protocol")
    return Pair(
        baseline,
        method,
        questions,
        {suite: first.header.suites[suite].split for suite in suites},
        left_out,
        (*differing.values(), *prompts),
        tuple(suite for suite in suites if _shortened(found, suite, questions[suite])),
    )


def _check_seeds(baseline: Method, method: Method) -> None:
    if len(baseline.runs) == len(method.runs) == 1 or baseline.seeds == method.seeds:
        return
    both = [seed for seed in baseline.seeds if seed in method.seeds]
    way = f"give seeds {_listed(both)} of both" if both else "evaluate both with the same seeds (--seed)"
    raise ComparisonError(
        f"{method.name} has seeds {_listed(method.seeds)} and {baseline.name} {_listed(baseline.seeds)}: "
        f"seeds are paired by number; {way}"
    )


def _check_grader(found: Pair) -> None:
    versions: dict[str, list[str]] = {}
    for label, run in found.runs:
        versions.setdefault(run.header.grader, []).append(label)
    if len(versions) > 1:
        raise ComparisonError(
            f"graded by different graders: {_told(versions)}; grade the answers of all with one of "
            "them: python -m evaluation.regrade DIR --grader algebra"
        )


def _common_suites(found: Pair) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the suites that all evaluations have, and the others."""
    named = [list(run.header.suites) for _, run in found.runs]
    every = list(dict.fromkeys(suite for suites in named for suite in suites))
    common = tuple(suite for suite in every if all(suite in suites for suites in named))
    if not common:
        had = "; ".join(f"{label} has {', '.join(run.header.suites)}" for label, run in found.runs)
        raise ComparisonError(f"no suite is in all of them: {had}; evaluate them with the same --suite")
    return common, tuple(suite for suite in every if suite not in common)


def _check_tasks(first: tuple[str, Run], second: tuple[str, Run], suites: Sequence[str]) -> None:
    labels = f"{second[0]} and {first[0]}"
    for suite in suites:
        ours, theirs = second[1].header.suites[suite], first[1].header.suites[suite]
        if ours.version != theirs.version:
            raise ComparisonError(
                f"{labels} have {suite} in versions {ours.version} and {theirs.version} of its task; "
                "evaluate again what has the older one"
            )
        if ours.sha256 != theirs.sha256:
            raise ComparisonError(
                f"{labels} have different questions in {suite} (data {ours.sha256[:12]} and "
                f"{theirs.sha256[:12]}); evaluate again with one --data"
            )


def _protocol_differences(found: Pair, suites: Sequence[str]) -> dict[str, str]:
    """Return what differs of the protocols, in words."""
    differing = {}
    for name in PROTOCOL:
        values: dict[str, list[str]] = {}
        for label, run in found.runs:
            values.setdefault(str(getattr(run.header.protocol, name)), []).append(label)
        asked = [{frozenset(run.answers[suite].questions) for _, run in found.runs} for suite in suites]
        # A limit above the number of questions changes nothing.
        idle = name == "limit" and all(len(questions) == 1 for questions in asked)
        if len(values) > 1 and not idle:
            differing[name] = f"{name} {_told(values)}"
    return differing


def _common_questions(found: Pair, suite: str) -> tuple[str, ...]:
    """Return the questions that all have; more of them may only be there under another limit."""
    asked = [(label, run.header.protocol.limit, run.answers[suite].questions) for label, run in found.runs]
    label, limit, fewest = min(asked, key=lambda each: len(each[2]))
    for other, its_limit, questions in asked:
        foreign = fewest.keys() - questions.keys() or (
            questions.keys() - fewest.keys() if its_limit == limit else set()
        )
        if foreign:
            raise ComparisonError(
                f"{label} and {other} have different questions in {suite}, such as {min(foreign)}; evaluate "
                "again with one --data"
            )
    return tuple(question for question in asked[0][2] if question in fewest)


def _prompt_differences(found: Pair, suite: str, questions: Sequence[str]) -> str | None:
    (first_label, first), *others = found.runs
    for label, run in others:
        differing = [q for q in questions if run.prompts[suite, q] != first.prompts[suite, q]]
        if differing:
            return (
                f"{label} and {first_label} were asked {len(differing)} of {len(questions)} questions of "
                f"{suite} with different prompts, such as {differing[0]}"
            )
    return None


def _shortened(found: Pair, suite: str, questions: Sequence[str]) -> bool:
    return any(len(run.answers[suite].questions) > len(questions) for _, run in found.runs)


def _told(values: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{value or 'unknown'} ({', '.join(labels)})" for value, labels in values.items())


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))
