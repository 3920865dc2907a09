"""Workers that grade side by side, and what they have already said."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import asdict
from queue import LifoQueue

from evaluation.grading.outcomes import GraderConfig, Verdict
from evaluation.grading.worker_process import WorkerProcess

# What happened to the worker, not what the answer says: never remembered.
ACCIDENTS = ("stuck", "worker_died")


class WorkerPool:
    """The workers of one grader, started when first needed; safe to use from several threads.

    Args:
        config: Its limits, and how many workers.
        engine: The module whose `grade` they run.
    """

    def __init__(self, config: GraderConfig, engine: str) -> None:
        settings = {**asdict(config), "engine": engine}
        self.workers = [WorkerProcess(settings) for _ in range(config.workers)]
        self._idle: LifoQueue[WorkerProcess] = LifoQueue()
        for worker in self.workers:
            self._idle.put(worker)

    def ask(self, request: dict[str, object]) -> Verdict:
        """Return a worker's verdict on a request, when one is free."""
        worker = self._idle.get()
        try:
            return worker.ask(request)
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """End the workers."""
        for worker in self.workers:
            worker.stop()


class VerdictCache:
    """The last verdicts, the oldest forgotten first; safe to use from several threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self.verdicts: OrderedDict[Hashable, Verdict] = OrderedDict()

    def get(self, question: Hashable) -> Verdict | None:
        """Return the verdict on a question, if it is remembered."""
        with self._lock:
            if question in self.verdicts:
                self.verdicts.move_to_end(question)
                return self.verdicts[question]
            return None

    def put(self, question: Hashable, verdict: Verdict) -> None:
        """Remember a verdict, unless it tells of an accident only."""
        if verdict.how in ACCIDENTS:
            return
        with self._lock:
            self.verdicts[question] = verdict
            if len(self.verdicts) > self._size:
                self.verdicts.popitem(last=False)
