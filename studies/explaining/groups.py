"""Which groups of rollouts give a gradient, by how many of them were solved."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import torch
from torch import Tensor

from core import Algorithm, Term
from studies.explaining.asking import ask
from studies.explaining.probes import Probe, Row, make_probe

ASKED = 0
OTHERS = (1, 2, 3)
Told = TypeVar("Told", bound=Hashable)
MOMENTS = {0.0: "at the start of the run", 0.5: "after 50% of it", 1.0: "at its end"}


@dataclass(frozen=True)
class Case:
    """What a group's gradient can depend on beside the number of its solved rollouts.

    Args:
        label: What it is called; "" where an algorithm knows but one.
        prefix: Whether rollouts begin with given tokens.
        greedy: Reward of the greedy response.
    """

    label: str = ""
    prefix: bool = False
    greedy: float = 0.0


@dataclass(frozen=True)
class Groups:
    """What gets a gradient in a group, by its number of solved rollouts.

    Args:
        samples: Rollouts of the group.
        by_case: What gets one, for no solved rollout, one, and so on, each case with its name; "" if it is
            the only one.
    """

    samples: int
    by_case: tuple[tuple[str, tuple[str, ...]], ...]

    def text(self) -> tuple[str, ...]:
        """Return one statement a case."""
        return tuple(
            f"{label}: {self._line(said)}" if label else self._line(said) for label, said in self.by_case
        )

    def _line(self, said: Sequence[str]) -> str:
        runs: list[list[int]] = []
        for solved in range(len(said)):
            if runs and said[runs[-1][0]] == said[solved]:
                runs[-1].append(solved)
            else:
                runs.append([solved])
        spans = [(f"{run[0]}" if len(run) == 1 else f"{run[0]}–{run[-1]}", said[run[0]]) for run in runs]
        first = f"{spans[0][0]} of {self.samples} solved: {spans[0][1]}"
        return "; ".join([first, *(f"{span}: {what}" for span, what in spans[1:])])


def find_groups(algorithm: Algorithm, samples: int, most: float = 1.0) -> Groups:
    """Return what gets a gradient in a group with a demonstration, in a first update beside other groups.

    Args:
        algorithm: What trains on them.
        samples: Rollouts of each question.
        most: Highest solve rate of a question that gets there.
    """
    counts = [solved for solved in range(samples + 1) if solved / samples <= most]
    by_moment = {
        moment: _merged(
            {
                case.label: tuple(_described(algorithm, _probe(samples, n, progress, case)) for n in counts)
                for case in _cases(algorithm)
            }
        )
        for progress, moment in MOMENTS.items()
    }
    labeled = [
        (", ".join(filter(None, (moment, label))), said)
        for moment, cases in _merged(by_moment)
        for label, said in cases
    ]
    return Groups(samples, tuple(labeled))


def _merged(by_label: Mapping[str, Told]) -> tuple[tuple[str, Told], ...]:
    """Return what is told, each with the labels that tell it; without one where all tell the same."""
    labels: dict[Told, list[str]] = {}
    for label, said in by_label.items():
        labels.setdefault(said, []).append(label)
    return tuple((" and ".join(names) if len(labels) > 1 else "", said) for said, names in labels.items())


def _cases(algorithm: Algorithm) -> list[Case]:
    """Return all cases that an algorithm can tell apart."""
    prefixes = {"": False}
    if algorithm.rollouts.prefix is not None:
        prefixes = {"rollouts with a prefix": True, "rollouts without a prefix": False}
    greedy = {"": 0.0}
    if "greedy_reward" in algorithm.needs:
        greedy = {"greedy response failed": 0.0, "greedy response solved": 1.0}
    return [
        Case(", ".join(filter(None, names)), prefixes[names[0]], greedy[names[1]])
        for names in product(prefixes, greedy)
    ]


def _probe(samples: int, solved: int, progress: float, case: Case) -> Probe:
    """Return a step with the group in question and others, of mixed outcomes where that is possible."""
    rows = [Row(ASKED, False, float(index < solved)) for index in range(samples)]
    for question in OTHERS:
        half = max(1, samples // 2) if question != 2 else 0
        rows += [Row(question, False, float(index < half)) for index in range(samples)]
    rows += [Row(question, True, 1.0) for question in (ASKED, *OTHERS)]
    probe = make_probe(rows, frozenset(), progress, seed=1)
    step = probe.step
    first = torch.arange(step.response_mask.shape[1]) < 1
    step = dataclasses.replace(
        step,
        # A response that begins with a given token goes on with one of its own.
        response_mask=step.response_mask | first.roll(1) | first,
        prefix_mask=~step.is_demonstration[:, None] & first & case.prefix,
        greedy_reward=torch.full_like(step.reward, case.greedy),
    )
    return dataclasses.replace(probe, step=step)


def _described(algorithm: Algorithm, probe: Probe) -> str:
    found = ask(algorithm, probe)
    reached: dict[str, Tensor] = {}
    asked = (probe.step.group == ASKED)[:, None]
    for term, coefficients in zip(algorithm.terms, found.coefficients, strict=True):
        tokens = torch.zeros_like(probe.step.response_mask)
        for part in (coefficients.logp, coefficients.entropy, coefficients.value):
            if part is not None:
                tokens[found.given] |= part != 0
        name = "" if isinstance(term, Term) else term.name
        reached[name] = reached.get(name, torch.zeros_like(tokens)) | tokens & asked
    trained = reached.pop("", torch.zeros_like(probe.step.response_mask))
    said = _sources(trained, probe)
    for name, tokens in reached.items():
        # A term that adds to rows trained anyway does not decide which groups are of use.
        alone = tokens & ~trained.any(dim=1, keepdim=True)
        said += [f"{source} ({name} only)" for source in _sources(alone, probe)]
    return ", ".join(said) if said else "nothing"


def _sources(tokens: Tensor, probe: Probe) -> list[str]:
    """Return what kinds of the group's rows these tokens are of."""
    step = probe.step
    rollout, solved = (step.group == ASKED) & ~step.is_demonstration, step.reward == 1.0
    rows = tokens.any(dim=1)
    names = []
    if bool((rows & rollout).any()):
        kinds = {
            "rollouts": rollout,
            "solved rollouts": rollout & solved,
            "failed rollouts": rollout & ~solved,
        }
        exact = [name for name, kind in kinds.items() if torch.equal(rows & rollout, kind)]
        sampled = tokens & rollout[:, None]
        if step.prefix_mask is not None:
            sampled = sampled & ~step.prefix_mask
        names.append(
            ("" if bool(sampled.any()) else "prefixes of ") + (exact[0] if exact else "some rollouts")
        )
    if bool((rows & ~rollout).any()):
        names.append("demonstrations")
    return names
