"""The command line that plans an evaluation: `python -m evaluation.power`.

The answer is on stdout, all else on stderr. Exit codes: 0 answered, 1 no number reaches what is asked (stdout
says what would), 2 the command cannot be carried out as given.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from evaluation.statistics.plan_text import FOUND, answer
from evaluation.statistics.planning import COUNTS, Count, Criterion, PlanError
from evaluation.statistics.variances import Variances

REFUSED, UNREACHED = 2, 1
Number = Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")]
Share = Annotated[float | None, tyro.conf.arg(metavar="SHARE", help_behavior_hint="")]
Variance = Annotated[float | None, tyro.conf.arg(metavar="VARIANCE", help_behavior_hint="")]


@dataclass(frozen=True)
class Command:
    """Say how many questions, samples and training seeds show a difference between two policies.

    With --difference and two of --questions, --samples and --seeds: the smallest third. With all three: the
    smallest difference that is seen and, given --difference, the power to see it. With fewer: tables of
    samples by questions.

    The error of the difference between two policies on the same n questions, K samples each of m trainings,
    is sqrt((between + 2 within/(K m))/n + 2 seed variance/m); the test is Student's t. All variances are of
    scores from 0 to 1: 0.0001 is a standard deviation of one point.
    """

    difference: Annotated[float | None, tyro.conf.arg(metavar="POINTS", help_behavior_hint="")] = None
    """The true difference to see, in points: 3 is 40 % against 43 %."""
    questions: Number = None
    """Questions that both policies answer (unpaired: that each answers)."""
    samples: Number = None
    """Answers to each question by each trained policy."""
    seeds: Number = None
    """Trainings of each method. 1 compares two checkpoints and says nothing about other trainings."""
    within: Variance = None
    """Variance of one answer to a question, averaged over questions: at most 0.25. Default 0.10, as of
    mathematics benchmarks of which a third is solved."""
    accuracy: Share = None
    """Derive --within from a share of correct answers p instead: p(1 - p), the most that it can be. Unpaired,
    p(1 - p) is within and difficulty together."""
    between: Variance = None
    """Variance of the true difference from question to question. Default 0.01."""
    difficulty: Variance = None
    """Unpaired only: variance of the true score from question to question. Default 0.10."""
    seed_variance: Variance = None
    """Variance of one method's true score between trainings. Needed with --seeds 2 or more, or to find it."""
    unpaired: bool = False
    """The policies answer different questions."""
    alpha: float = 0.05
    """Two-sided level of the test."""
    power: float = 0.8
    """The chance to see the difference."""
    normal: bool = False
    """Take the normal approximation: (1.96 + 0.84) standard errors at the usual level and power."""

    def variances(self) -> Variances:
        """Return the variances that were given, derived or left at their defaults."""
        usual = Variances()
        within = usual.within if self.within is None else self.within
        difficulty = usual.difficulty if self.difficulty is None else self.difficulty
        if self.accuracy is not None:
            answers = self.accuracy * (1 - self.accuracy)
            within = min(within, answers) if self.unpaired else answers
            difficulty = answers - within
        between = usual.between if self.between is None else self.between
        return Variances(between, within, self.seed_variance or 0.0, difficulty)


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line, the process's own if None, and return its exit code."""
    command = tyro.cli(
        Command, prog="python -m evaluation.power", args=arguments, config=(tyro.conf.FlagCreatePairsOff,)
    )
    try:
        _check(command)
        given: dict[Count, int | None] = {count: getattr(command, count) for count in COUNTS}
        difference = None if command.difference is None else command.difference / 100
        criterion = Criterion(command.alpha, command.power, command.normal)
        reached, text = answer(difference, given, not command.unpaired, command.variances(), criterion)
    except PlanError as error:
        sys.stderr.write(f"error: {error}\n")
        return REFUSED
    sys.stdout.write(f"{text}\n")
    return 0 if reached == FOUND else UNREACHED


def _check(command: Command) -> None:
    """Refuse what can't be, by name and with the way out."""
    if command.difference is not None and not 0 < command.difference <= 100:
        raise PlanError(f"--difference {command.difference} is not above 0 and at most 100 points")
    if command.accuracy is not None and not 0 < command.accuracy < 1:
        raise PlanError(f"--accuracy {command.accuracy} is no share between 0 and 1; 35 % is 0.35")
    _check_variances(command)
    _check_seeds(command)


def _check_variances(command: Command) -> None:
    limits = {"within": 0.25, "between": 1.0, "difficulty": 0.25, "seed_variance": 0.25}
    for name, most in limits.items():
        value = getattr(command, name)
        if value is not None and not 0 <= value <= most:
            flag = name.replace("_", "-")
            raise PlanError(f"--{flag} {value} is no variance of scores from 0 to 1: it is from 0 to {most}")
    if command.difficulty is not None and not command.unpaired:
        raise PlanError("--difficulty is only for --unpaired: paired, the difficulty of questions drops out")
    if command.between is not None and command.unpaired:
        raise PlanError("--between is only for paired questions; say --difficulty, or leave out --unpaired")
    other = "difficulty" if command.unpaired else "within"
    if command.accuracy is not None and getattr(command, other) is not None:
        raise PlanError(f"--accuracy and --{other} both say how answers vary; leave out one")
    variances = command.variances()
    if command.unpaired and variances.within + variances.difficulty > 0.25:
        raise PlanError(
            "--within and --difficulty are more than 0.25 together, the most that 0/1 answers vary"
        )


def _check_seeds(command: Command) -> None:
    given = sum(getattr(command, count) is not None for count in COUNTS)
    finding = command.difference is not None and command.seeds is None and given == 2
    if command.seed_variance is None and (finding or (command.seeds or 1) > 1):
        raise PlanError(
            "how many seeds are needed depends on how much they differ: say --seed-variance (0.0001 if their "
            "standard deviation is one point), or --seeds 1 to compare two checkpoints"
        )
    if command.seed_variance and not finding and (command.seeds or 1) == 1:
        raise PlanError(
            f"--seed-variance {command.seed_variance} can't be told from luck with one seed: say --seeds 2 "
            "or more, or leave it out to compare two checkpoints"
        )


if __name__ == "__main__":
    sys.exit(main())
