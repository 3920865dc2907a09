"""What is compared: methods, each of one or more evaluations on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from evaluation.answers import SuiteAnswers, by_suite
from evaluation.records import Evaluation, answers, read_evaluation
from evaluation.samples import Sample

Question = tuple[str, str]
"""Suite and question."""


class ComparisonError(ValueError):
    """Evaluations that cannot be compared, and the way out."""


@dataclass(frozen=True)
class Run:
    """One evaluation of one checkpoint.

    Args:
        directory: Where its record is.
        header: What was asked.
        answers: By suite.
        prompts: Of each question the SHA-256.
    """

    directory: Path
    header: Evaluation
    answers: Mapping[str, SuiteAnswers]
    prompts: Mapping[Question, str]


@dataclass(frozen=True)
class Method:
    """Evaluations under one name, one for each seed, in the order of seeds."""

    name: str
    runs: tuple[Run, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Return the seeds, ascending."""
        return tuple(run.header.seed for run in self.runs)

    def label(self, run: Run) -> str:
        """Return what a run is called in messages."""
        return self.name if len(self.runs) == 1 else f"{self.name} (seed {run.header.seed})"


def read_methods(arguments: Sequence[str]) -> list[Method]:
    """Return the methods that a command line names, the baseline first.

    Args:
        arguments: DIR, or NAME=DIR[,DIR...]; a name that is there twice gathers its folders.

    Raises:
        ComparisonError: They do not name two methods or more.
        ValueError: A folder holds no whole, finished evaluation.
    """
    named = named_folders(arguments)
    if len(named) < 2:
        raise ComparisonError(
            f"nothing to compare {', '.join(named)} with; name two methods or more, the baseline first, each "
            "as DIR or NAME=DIR[,DIR...]"
        )
    return [read_method(name, folders) for name, folders in named.items()]


def named_folders(arguments: Sequence[str]) -> dict[str, list[Path]]:
    """Return the folders of each method; without a name it is called by the end of its path that differs."""
    given = [_split(argument) for argument in arguments]
    folders = [folder for _, parts in given for folder in parts]
    places = [folder.resolve() for folder in folders]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise ComparisonError(f"{folders[number]} is there twice; name every evaluation once")
    plain = iter(short_names([parts[0] for name, parts in given if not name]))
    explicit = {name for name, _ in given if name}
    named: dict[str, list[Path]] = {}
    for name, parts in given:
        own = name or next(plain)
        if not name and own in explicit:
            raise ComparisonError(f"two methods are called {own}; give {parts[0]} a name: NAME={parts[0]}")
        named.setdefault(own, []).extend(parts)
    return named


def short_names(folders: Sequence[Path]) -> list[str]:
    """Return the shortest ends of different paths that tell them apart, without what all of them end with."""
    parts = [list(folder.resolve().parts) for folder in folders]
    while len(parts) > 1 and len({each[-1] for each in parts}) == 1 and min(map(len, parts)) > 1:
        for each in parts:
            each.pop()
    length = 1
    while len({tuple(each[-length:]) for each in parts}) < len(parts):
        length += 1
    return ["/".join(each[-length:]) for each in parts]


def read_method(name: str, folders: Sequence[Path]) -> Method:
    """Return a method after a check that its seeds differ."""
    runs = sorted((_read_run(folder) for folder in folders), key=lambda run: run.header.seed)
    for first, second in pairwise(runs):
        if first.header.seed == second.header.seed:
            raise ComparisonError(
                f"{name}: {first.directory} and {second.directory} both have seed {first.header.seed}. Seeds "
                "are paired by number: evaluate each training with a --seed of its own, the same one for all "
                "methods; for more answers of one checkpoint raise --samples"
            )
    return Method(name, tuple(runs))


def _split(argument: str) -> tuple[str, list[Path]]:
    name, equals, folders = argument.partition("=")
    if not equals or Path(argument).exists():
        return "", [Path(argument)]
    parts = [Path(folder) for folder in folders.split(",") if folder]
    if not name.strip() or not parts:
        raise ComparisonError(f"{argument!r} is neither DIR nor NAME=DIR[,DIR...]")
    return name.strip(), parts


def _read_run(directory: Path) -> Run:
    try:
        header = read_evaluation(directory)
    except FileNotFoundError as error:
        raise ComparisonError(
            f"{error}; name a folder that `python -m evaluation.run` wrote, or a run directory of a study"
        ) from None
    prompts: dict[Question, str] = {}
    return Run(directory, header, by_suite(_noting_prompts(directory, prompts)), prompts)


def _noting_prompts(directory: Path, prompts: dict[Question, str]) -> Iterator[Sample]:
    for sample in answers(directory):
        known = prompts.setdefault((sample.suite, sample.question), sample.prompt_sha256)
        if known != sample.prompt_sha256:
            raise ComparisonError(
                f"{directory}: {sample.question} of {sample.suite} was asked with two different prompts; the "
                "record is damaged, evaluate again"
            )
        yield sample
