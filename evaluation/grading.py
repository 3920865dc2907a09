"""Grade responses: one grader for the training reward and the evaluation score."""

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from queue import LifoQueue
from types import TracebackType
from typing import NamedTuple, Self, get_args

from evaluation.answer_forms import align, choice
from evaluation.answer_limits import MAX_CHARACTERS, exceeded_limit
from evaluation.answer_text import comparable, final_part, integer, is_bare, last_box, rewrite
from evaluation.worker_process import Outcome, WorkerProcess

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
# What happened to the worker, not what the answer says: never remembered.
ACCIDENTS = ("stuck", "worker_died")
# What a grade without a box is read from; an answer stands at the end of a response.
UNBOXED_TAIL = 4_000


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
        how: What decided: `exact`, `integer`, `choice`, `math_verify`, `limit:<name>`, `no_answer`,
            `time_limit`, `memory`, `stuck`, `worker_died`, or the name of an exception.
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
        boxed_required: An answer outside a box is no answer; else math-verify looks for one.
        float_rounding: Decimals to which two numbers are compared when one is a float.
        numeric_precision: Digits to which two exact expressions are evaluated.
        time_limit: Wall-clock seconds for one answer against all its gold forms.
        memory_limit: Bytes of address space for one worker; half of it, touched without finding the
            answer correct, already counts as out of memory.
        workers: Processes that grade side by side.
        cache_size: Verdicts remembered.
    """

    boxed_required: bool = True
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


class _Question(NamedTuple):
    """An answer and its gold forms, rewritten; hashable, so it is the cache key."""

    answer: str
    golds: tuple[str, ...]
    boxed: bool


class Grader:
    """Grade responses; cheap decisions here, algebra in killable workers.

    Safe to call from several threads; not to be shared across `os.fork`.
    """

    def __init__(self, config: GraderConfig | None = None) -> None:
        self.config = config or GraderConfig()
        self._cache: OrderedDict[_Question, Verdict] = OrderedDict()
        self._cache_lock = threading.Lock()
        self._workers = [WorkerProcess(asdict(self.config)) for _ in range(self.config.workers)]
        self._idle: LifoQueue[WorkerProcess] = LifoQueue()
        for worker in self._workers:
            self._idle.put(worker)

    def grade(self, response: str, gold: str | Sequence[str]) -> Grade:
        """Return the grade of one response against one gold answer or several accepted forms."""
        started = time.perf_counter()
        golds = [gold] if isinstance(gold, str) else gold
        stated, boxed = self._find_answer(response)
        if not stated:
            verdict = Verdict("unparseable", None, "no_answer")
        elif stated in golds:
            verdict = Verdict("correct", None, "exact")
        elif boxed and len(stated) > MAX_CHARACTERS:
            verdict = Verdict("unparseable", None, "limit:length")
        else:
            verdict = self._decide(_pose(stated, golds, boxed))
        answer = verdict.answer or (stated if boxed else None)
        return Grade(verdict.outcome, answer, verdict.how, time.perf_counter() - started)

    def grade_all(self, pairs: Iterable[tuple[str, str | Sequence[str]]]) -> list[Grade]:
        """Return the grades of (response, gold) pairs, in their order."""
        with ThreadPoolExecutor(self.config.workers) as pool:
            return list(pool.map(lambda pair: self.grade(*pair), pairs))

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _find_answer(self, response: str) -> tuple[str, bool]:
        """Return the text that holds the answer, "" for none, and whether it is all answer."""
        text = (final_part(response) or "").strip()
        box = last_box(text)
        if box is not None or self.config.boxed_required:
            return (box or "").strip(" \n"), True  # a tab or form feed may be half a macro
        return text[-UNBOXED_TAIL:], is_bare(text)

    def _decide(self, question: _Question) -> Verdict:
        verdict = _decide_by_text(question)
        if verdict is not None:
            return verdict
        with self._cache_lock:
            if question in self._cache:
                self._cache.move_to_end(question)
                return self._cache[question]
        worker = self._idle.get()
        try:
            verdict = Verdict(*worker.ask(question._asdict()))
        finally:
            self._idle.put(worker)
        if verdict.how not in ACCIDENTS:
            with self._cache_lock:
                self._cache[question] = verdict
                if len(self._cache) > self.config.cache_size:
                    self._cache.popitem(last=False)
        return verdict


def _pose(stated: str, golds: Sequence[str], boxed: bool) -> _Question:
    if not golds:
        raise ValueError("a response needs at least one gold answer to be graded against")
    forms = tuple(rewrite(gold if (box := last_box(gold)) is None else box) for gold in golds)
    answer = rewrite(stated) if boxed else stated
    return _Question(*align(answer, forms), boxed) if boxed else _Question(answer, forms, boxed)


def _decide_by_text(question: _Question) -> Verdict | None:
    """Return the verdict that needs no algebra, if there is one."""
    answer, boxed = question.answer, question.boxed
    form = comparable(answer if boxed else rewrite(answer))
    golds = [comparable(gold) for gold in question.golds]
    if form and form in golds:
        return Verdict("correct", None, "exact")
    letter = choice(answer, boxed=boxed)
    if letter and all(re.fullmatch("[a-j]", gold) for gold in golds):
        return Verdict("correct" if letter.lower() in golds else "wrong", letter, "choice")
    if not boxed:
        return None
    digits = integer(form)
    gold_digits = [integer(gold) for gold in golds]
    if digits is not None and None not in gold_digits:
        return Verdict("correct" if digits in gold_digits else "wrong", None, "integer")
    limit = exceeded_limit(answer)
    return None if limit is None else Verdict("unparseable", None, f"limit:{limit}")
