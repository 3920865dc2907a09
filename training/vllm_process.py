"""What vLLM would change in the process that it shares with the trainer, and how long it may take."""

from __future__ import annotations

import faulthandler
import os
import random
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import torch

_HANGING = 60.0
_STDERR = 2
_QUIET = {
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    # A push logs warnings for all that is not loaded because it is computed or tied.
    "VLLM_LOGGING_LEVEL": "ERROR",
}


@contextmanager
def undisturbed() -> Iterator[None]:
    """Give the process back as it was, after vLLM has been imported and built.

    vLLM seeds all random generators; on CPUs it takes away `torch.set_num_threads`; and it leaves in the
    environment what its own processes would inherit, a library to preload among it. Its own variables stay.
    """
    environment, set_threads, threads = dict(os.environ), torch.set_num_threads, torch.get_num_threads()
    states = random.getstate(), np.random.get_state()
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    # The engine in this process, where it can be handed weights as they are, and not in one of its own.
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    # vLLM reads them from where a launcher would have put them.
    os.environ.setdefault("RANK", "0")
    os.environ.setdefault("LOCAL_RANK", "0")
    try:
        with warnings.catch_warnings(), own_draws():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_num_threads = set_threads
        torch.set_num_threads(threads)
        random.setstate(states[0])
        np.random.set_state(states[1])
        for name in {*os.environ, *environment}:
            if not name.startswith("VLLM_") and os.environ.get(name) != environment.get(name):
                _restore(name, environment.get(name))


def _restore(name: str, value: str | None) -> None:
    if value is None:
        del os.environ[name]
    else:
        os.environ[name] = value


def own_draws() -> AbstractContextManager[None]:
    """Leave torch's global random state as it is, of the CPU and of the GPU in use."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    return torch.random.fork_rng(devices=devices)


@contextmanager
def watched(seconds: float) -> Iterator[None]:
    """End the process if the body hangs well beyond a limit that it was to keep itself.

    Nothing else gets out of a call that never returns to Python; the traceback goes to the error stream.
    """
    faulthandler.dump_traceback_later(seconds + min(seconds, _HANGING), exit=True, file=_STDERR)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def keep_process_groups() -> None:
    """Let vLLM's clean-up end no process groups.

    It would end the default one, which is the trainer's, too; and its own, which all its engines share.
    """
    from vllm.distributed import parallel_state

    def keep() -> None:
        pass

    parallel_state.destroy_model_parallel = keep
    parallel_state.destroy_distributed_environment = keep
