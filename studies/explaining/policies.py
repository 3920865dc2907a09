"""Which small policies the expectation of an estimator is taken under.

Every group of rollouts is enumerated, so that tables of many rollouts must have few responses and questions.
"""

from __future__ import annotations

from studies.explaining.tabular import Table

TAIL = 4
THREE_RESPONSES, TWO_QUESTIONS = 64, 13
"""Most rollouts of a question that are enumerated for as many."""
BINARY = ((0.0, 1.0, 0.0), (1.0, 0.0, 1.0))
GRADED = ((0.2, 1.0, 0.4), (1.0, -0.7, 0.5))
UNSOLVED = (0.3, 0.8)


def tables(samples: int, *, graded: bool) -> tuple[Table, ...]:
    """Return tables with a number of rollouts, as rich as can be enumerated.

    Args:
        samples: Rollouts of each question.
        graded: Whether rewards differ from 0 and 1.
    """
    rewards = GRADED if graded else BINARY
    few = tuple(row[:2] for row in rewards)
    responses = 3 if samples <= THREE_RESPONSES else 2
    found = [
        Table((rewards[1][:responses],), samples, tilt=0.6, tail=TAIL),
        Table(few[1:], samples, tilt=-0.5, tail=TAIL),
        Table(few[:1], samples, tilt=-1.2, tail=TAIL),
        Table((UNSOLVED,) if graded else few[:1], samples, tilt=2.0),
    ]
    if samples <= TWO_QUESTIONS:
        # One question is easy, the other hard.
        found.append(Table(few, samples, tilt=1.5, tail=TAIL))
    return tuple(found)


def resized(samples: int, *, graded: bool) -> tuple[Table, ...]:
    """Return small tables with other numbers of rollouts, and of questions: a factor may depend on both."""
    rewards = GRADED if graded else BINARY
    few = tuple(row[:2] for row in rewards)
    sizes = [size for size in (2, 3, 6) if size != samples]
    single = [Table(few[1:], size, tilt=-0.5, tail=TAIL) for size in sizes]
    return (*single, Table(few, sizes[0], tilt=1.5, tail=TAIL))
