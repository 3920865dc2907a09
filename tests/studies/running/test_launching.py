import sys

import pytest

from studies.catalog import UsageError
from studies.running import launching


@pytest.fixture
def gpus(monkeypatch):
    def have(count):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(f"GPU-{index}" for index in range(count)))

    return have


def test_one_rank_needs_no_launcher():
    assert launching.python_command(1, "some.module", ["x"]) == [sys.executable, "-m", "some.module", "x"]


def test_several_ranks_are_started_by_torchrun():
    command = launching.python_command(3, "some.module", ["x"])
    assert command[1:3] == ["-m", "torch.distributed.run"]
    assert command[command.index("--nproc-per-node") + 1] == "3"
    assert command[-3:] == ["-m", "some.module", "x"]


def test_workers_of_several_ranks_have_gpus_of_their_own(gpus):
    gpus(8)
    assert launching.share_devices(2, 3) == ["GPU-0,GPU-1,GPU-2", "GPU-3,GPU-4,GPU-5"]


def test_workers_of_one_rank_share_gpus_where_there_are_too_few(gpus):
    gpus(2)
    assert launching.share_devices(3, 1) == ["GPU-0", "GPU-1", "GPU-0"]


def test_too_few_gpus_for_ranks_are_refused_with_both_numbers(gpus):
    gpus(4)
    with pytest.raises(UsageError, match=r"3 ranks each need 6 GPUs, and there are 4"):
        launching.share_devices(2, 3)


def test_without_gpus_nothing_is_given(gpus):
    gpus(0)
    assert launching.share_devices(2, 3) == [None, None]


@pytest.fixture
def cpus(monkeypatch):
    def have(*numbers):
        monkeypatch.setattr("os.sched_getaffinity", lambda _: set(numbers))

    return have


def test_workers_that_fill_the_machine_keep_to_cpus_of_their_own(cpus):
    cpus(3, 5, 8, 9)
    assert launching.share_cpus(4, 1, 1) == [{3}, {5}, {8}, {9}]
    assert launching.share_cpus(2, 1, 2) == launching.share_cpus(2, 2, 1) == [{3, 5}, {8, 9}]


@pytest.mark.parametrize(("workers", "threads"), [(3, 1), (5, 1), (2, None), (1, 4)])
def test_workers_are_free_to_move_where_they_leave_cpus_over_want_more_or_are_alone(cpus, workers, threads):
    cpus(0, 1, 2, 3)
    assert launching.share_cpus(workers, 1, threads) == [None] * workers


@pytest.mark.parametrize(("world", "expected"), [(None, False), ("1", False), ("2", True)])
def test_a_launcher_is_known_by_the_number_of_its_ranks(monkeypatch, world, expected):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if world is not None:
        monkeypatch.setenv("WORLD_SIZE", world)
    assert launching.launched() is expected
