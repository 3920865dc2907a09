"""What a grade is, and what decides it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, get_args

Outcome = Literal["correct", "wrong", "unparseable", "timeout", "error"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

# One gold answer, or several accepted forms of it.
Gold = str | Sequence[str]


class Verdict(NamedTuple):
    """An outcome, the answer where the decision found another than the box, and the deciding step."""

    outcome: Outcome
    answer: str | None
    how: str


class Grade(NamedTuple):
    """The one outcome of one response.

    Args:
        outcome: Everything but `correct` earns nothing, but each is counted apart.
        answer: The answer as the response states it; None when it states none.
        how: What decided: `exact`, `number`, `choice`, `items`, `words`, `algebra`, `limit:<name>`,
            `no_answer`, `time_limit`, `memory`, `stuck`, `worker_died`, the name of an exception, or the
            rule of another grader.
        seconds: Wall-clock time, waiting for a worker included.
    """

    outcome: Outcome
    answer: str | None
    how: str
    seconds: float

    @property
    def correct(self) -> bool:
        """Whether the response earns its reward."""
        return self.outcome == "correct"


@dataclass(frozen=True)
class GraderConfig:
    """What counts as equal, and what one answer may cost.

    Args:
        boxed_required: An answer outside a box is no answer; else one is looked for in the text.
        percent_ignored: 5% also answers a gold of 5, as in the paper's reward; else it is 0.05 alone.
        float_rounding: Decimals to which two numbers are compared when one is a decimal.
        numeric_precision: Digits to which two exact expressions are evaluated.
        time_limit: Wall-clock seconds for one answer against all its gold forms.
        memory_limit: Bytes of address space for one worker; half of it, touched without finding the
            answer correct, already counts as out of memory.
        workers: Processes that grade side by side.
        cache_size: Verdicts remembered.
    """

    boxed_required: bool = True
    percent_ignored: bool = True
    float_rounding: int = 6
    numeric_precision: int = 50
    time_limit: float = 3.0
    memory_limit: int = 2 * 2**30
    workers: int = 2
    cache_size: int = 10_000

    def __post_init__(self) -> None:
        for field, least in (("time_limit", 1e-3), ("memory_limit", 2**28), ("workers", 1)):
            if not getattr(self, field) >= least:
                raise ValueError(f"{field} must be at least {least}, not {getattr(self, field)}")


class AnswerGrader(Protocol):
    """Whatever grades responses against golds: the shape that both graders share."""

    def grade(self, response: str, gold: Gold) -> Grade:
        """Return the grade of one response against one gold answer or several accepted forms."""

    def grade_all(self, pairs: Iterable[tuple[str, Gold]]) -> list[Grade]:
        """Return the grades of (response, gold) pairs, in their order."""

    def close(self) -> None:
        """End what the grader has started."""
