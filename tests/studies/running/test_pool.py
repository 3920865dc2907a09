import json
import os
import subprocess
import sys
import time

import pytest

from studies.configuring.resolve import resolve
from studies.running.pool import end_all, make_workers
from tests.studies import toy

CPUS = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []


def tell_cpus(run, directory):
    """Stand in for `studies.execute`: write down where a run and what it starts may be carried out."""
    own = sorted(os.sched_getaffinity(0))
    told = subprocess.check_output(
        [sys.executable, "-c", "import os; print(sorted(os.sched_getaffinity(0)))"], text=True
    )
    (directory / "cpus").write_text(json.dumps([own, json.loads(told), os.environ["OMP_NUM_THREADS"]]))


@pytest.mark.skipif(len(CPUS) < 2 or len(CPUS) % 2 == 1, reason="needs Linux, and an even number of CPUs")
def test_two_workers_that_fill_the_machine_keep_to_a_half_each_with_all_they_start(tmp_path):
    half = len(CPUS) // 2
    workers = make_workers(f"{__name__}:tell_cpus", [tmp_path / "0.log", tmp_path / "1.log"], 1, half)
    run = resolve(toy.STUDY, [toy.SCALE], (0,)).runs[0]
    try:
        for index, worker in enumerate(workers):
            worker.give(run, tmp_path / str(index))
        for worker in workers:
            while (reply := worker.hear()) is None:
                time.sleep(0.02)
            assert reply.reason is None, worker.log_tail()
    finally:
        end_all(workers)
    told = [json.loads((tmp_path / str(index) / "cpus").read_text()) for index in range(2)]
    assert told == [[share, share, str(half)] for share in (CPUS[:half], CPUS[half:])]
