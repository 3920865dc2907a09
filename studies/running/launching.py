"""Several ranks of one run: how a worker of them is started, and what it is given of the machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from studies.catalog import UsageError


def launched() -> bool:
    """Return whether a launcher started this process together with others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def first_rank() -> bool:
    """Return whether this process speaks for all that a launcher started."""
    return not launched() or os.environ.get("RANK") == "0"


def python_command(ranks: int, module: str, arguments: Sequence[str]) -> list[str]:
    """Return the command that runs `python -m module` on so many ranks of this machine."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    return [sys.executable, *(launcher if ranks > 1 else []), "-m", module, *arguments]


def share_devices(workers: int, ranks: int) -> list[str | None]:
    """Return what CUDA_VISIBLE_DEVICES is to be for each worker; None where there are no GPUs.

    Runs of one rank share GPUs where there are more of them.

    Args:
        workers: Runs at once.
        ranks: Processes of each, with a GPU of its own each.

    Raises:
        UsageError: There are GPUs, and too few of them.
    """
    devices = visible_devices()
    if not devices:
        return [None] * workers
    if ranks == 1:
        return [devices[i % len(devices)] for i in range(workers)]
    if workers * ranks > len(devices):
        raise UsageError(
            f"--workers={workers} runs of {ranks} ranks each need {workers * ranks} GPUs, and there are "
            f"{len(devices)}; lower --workers, or the runs' ranks with --set ranks=N"
        )
    return [",".join(devices[i * ranks : (i + 1) * ranks]) for i in range(workers)]


def share_cpus(workers: int, ranks: int, threads: int | None) -> list[set[int] | None]:
    """Return the CPUs that each worker is to keep to; None leaves the choice to the kernel.

    Workers that fill the machine lose a tenth of their time to being moved between its CPUs. Where CPUs are
    left over, they are free to move: another study may want the same ones.

    Args:
        workers: Runs at once.
        ranks: Processes of each.
        threads: CPU threads of each process; None where PyTorch chooses.
    """
    if sys.platform != "linux" or threads is None or workers == 1:
        return [None] * workers
    cpus = sorted(os.sched_getaffinity(0))
    each = ranks * threads
    if workers * each != len(cpus):
        return [None] * workers
    return [set(cpus[i * each : (i + 1) * each]) for i in range(workers)]


def visible_devices() -> list[str]:
    """Return the names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES has them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name]
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]
