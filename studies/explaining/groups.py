"""Which groups of rollouts give a gradient, by how many of them were solved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core import Algorithm, Term
from studies.explaining.behavior import ask
from studies.explaining.probes import Probe, Row, make_probe

ASKED = 0
OTHERS = (1, 2, 3)


@dataclass(frozen=True)
class Groups:
    """What gets a gradient in a group, by its number of solved rollouts.

    Args:
        samples: Rollouts of the group.
        by_progress: What gets one, for 0 to all solved, by the share of the run that is done; one entry where
            the run's progress does not matter.
    """

    samples: int
    by_progress: tuple[tuple[float, tuple[str, ...]], ...]

    def text(self) -> tuple[str, ...]:
        """Return one statement, or one a share of the run."""
        if len(self.by_progress) == 1:
            return (self._line(self.by_progress[0][1]),)
        names = {0.0: "at the start of the run", 1.0: "at its end"}
        return tuple(
            f"{names.get(progress, f'after {progress:.0%} of it')}: {self._line(said)}"
            for progress, said in self.by_progress
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


def find_groups(algorithm: Algorithm, samples: int) -> Groups:
    """Return what gets a gradient in a group with a demonstration, in a first update beside other groups."""
    shares = {progress: _table(algorithm, samples, progress) for progress in (0.0, 0.5, 1.0)}
    if len(set(shares.values())) == 1:
        return Groups(samples, ((0.0, shares[0.0]),))
    return Groups(samples, tuple(shares.items()))


def _table(algorithm: Algorithm, samples: int, progress: float) -> tuple[str, ...]:
    return tuple(_described(algorithm, _probe(samples, solved, progress)) for solved in range(samples + 1))


def _probe(samples: int, solved: int, progress: float) -> Probe:
    """Return a step with the group in question and others, of mixed outcomes where that is possible."""
    rows = [Row(ASKED, False, float(index < solved)) for index in range(samples)]
    for question in OTHERS:
        half = max(1, samples // 2) if question != 2 else 0
        rows += [Row(question, False, float(index < half)) for index in range(samples)]
    rows += [Row(question, True, 1.0) for question in (ASKED, *OTHERS)]
    return make_probe(rows, frozenset(), progress, seed=1)


def _described(algorithm: Algorithm, probe: Probe) -> str:
    found = ask(algorithm, probe)
    reached: dict[str, Tensor] = {}
    for term, coefficients in zip(algorithm.terms, found.coefficients, strict=True):
        rows = torch.zeros(len(probe.step.group), dtype=torch.bool)
        for part in (coefficients.logp, coefficients.entropy, coefficients.value):
            if part is not None:
                rows[found.given] |= (part != 0).any(dim=1)
        name = "" if isinstance(term, Term) else term.name
        reached[name] = reached.get(name, torch.zeros_like(rows)) | rows & (probe.step.group == ASKED)
    trained = reached.pop("", torch.zeros_like(probe.step.is_demonstration))
    said = _sources(trained, probe)
    for name, rows in reached.items():
        # A term that adds to rows trained anyway does not decide which groups are of use.
        said += [f"{source} ({name} only)" for source in _sources(rows & ~trained, probe)]
    return ", ".join(said) if said else "nothing"


def _sources(rows: Tensor, probe: Probe) -> list[str]:
    """Return what kinds of the group's rows these are."""
    step = probe.step
    rollout, solved = (step.group == ASKED) & ~step.is_demonstration, step.reward == 1.0
    names = []
    if bool((rows & rollout).any()):
        kinds = {
            "rollouts": rollout,
            "solved rollouts": rollout & solved,
            "failed rollouts": rollout & ~solved,
        }
        exact = [name for name, kind in kinds.items() if torch.equal(rows & rollout, kind)]
        names.append(exact[0] if exact else "some rollouts")
    if bool((rows & ~rollout).any()):
        names.append("demonstrations")
    return names
