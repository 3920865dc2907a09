"""What every grader does that leaves algebra to worker processes: it starts, serves and ends them."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import ClassVar, Self

from evaluation.grading.outcomes import Gold, Grade, GraderConfig
from evaluation.grading.worker_pool import VerdictCache, WorkerPool


class PoolGrader(ABC):
    """A grader with killable workers, which end with it.

    Safe to call from several threads; not to be shared across `os.fork`.
    """

    engine: ClassVar[str]
    """Module that the workers decide by."""

    def __init__(self, config: GraderConfig | None = None) -> None:
        self.config = config or GraderConfig()
        self._cache = VerdictCache(self.config.cache_size)
        self._pool = WorkerPool(self.config, self.engine)

    @abstractmethod
    def grade(self, response: str, gold: Gold) -> Grade:
        """Return the grade of one response against one gold answer or several accepted forms."""

    def grade_all(self, pairs: Iterable[tuple[str, Gold]]) -> list[Grade]:
        """Return the grades of (response, gold) pairs, in their order."""
        with ThreadPoolExecutor(self.config.workers) as pool:
            return list(pool.map(lambda pair: self.grade(*pair), pairs))

    def close(self) -> None:
        """End the workers."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
