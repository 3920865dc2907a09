"""Weights and optimizer states on disk: whole fp32 tensors in safetensors, whatever wrote or reads them.

Files are named by what they hold and by the rank that wrote them: `weight-00000-00000.safetensors`. Tensors
have the Hugging Face names of their parameters.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from training.engine_state import MOMENTS, WEIGHT, EngineState
from training.ranks import Ranks

LARGEST_FILE = 2 * 2**30
"""Bytes of tensors that a rank holds in memory before it writes them."""
_ABOUT = "engine.json"


def write_state(directory: Path, state: EngineState, ranks: Ranks) -> None:
    """Write weights and moments; each rank writes its share of the parameters, whole."""
    directory.mkdir(parents=True, exist_ok=True)
    kinds = state.kinds()
    if ranks.first:
        (directory / _ABOUT).write_text(json.dumps({"kinds": kinds, "steps": state.steps()}))
    for kind in kinds:
        writer = _Writer(directory, f"{kind}-{ranks.rank:05d}")
        for index, name in enumerate(state.parameters):
            tensor = state.read(name, kind)
            if index % ranks.size == ranks.rank:
                writer.add(name, tensor)
        writer.flush()


def read_state(directory: Path, state: EngineState) -> None:
    """Set weights, moments and step count to what `write_state` wrote, on any number of ranks.

    The state must hold moments if the files do.

    Raises:
        FileNotFoundError: No state was written there.
        ValueError: It is the state of another model.
    """
    kinds, steps = _read_about(directory)
    files = {kind: tensor_files(directory, kind) for kind in kinds}
    _check_names(directory, set(files[WEIGHT]), set(state.parameters))
    for name in state.parameters:
        state.write(name, {kind: read_tensor(files[kind][name], name) for kind in files})
    if MOMENTS[0] in files:
        state.set_steps(steps)


def has_moments(directory: Path) -> bool:
    """Return whether an optimizer had taken a step when the state was written."""
    return MOMENTS[0] in _read_about(directory).kinds


class _About(NamedTuple):
    """Which tensors were written, and how many steps the optimizer had counted."""

    kinds: list[str]
    steps: int


def _read_about(directory: Path) -> _About:
    path = directory / _ABOUT
    if not path.is_file():
        raise FileNotFoundError(f"{directory} holds no checkpoint: {_ABOUT} is missing")
    return _About(**json.loads(path.read_text()))


def weights(directory: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield the fp32 weights that `write_state` wrote, by their Hugging Face names."""
    for name, file in tensor_files(directory, WEIGHT).items():
        yield name, read_tensor(file, name)


def tensor_files(directory: Path, kind: str) -> dict[str, Path]:
    """Return the file of each tensor of a kind."""
    from safetensors import safe_open

    found: dict[str, Path] = {}
    for path in sorted(directory.glob(f"{kind}-*.safetensors")):
        with safe_open(path, "pt") as file:
            found |= dict.fromkeys(file.keys(), path)
    return found


def read_tensor(path: Path, name: str) -> Tensor:
    """Return one tensor of a file."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        tensor: Tensor = file.get_tensor(name)
        return tensor


def _check_names(directory: Path, held: set[str], wanted: set[str]) -> None:
    if held != wanted:
        raise ValueError(
            f"{directory} holds another model: it lacks {sorted(wanted - held)[:3]} and has "
            f"{sorted(held - wanted)[:3]} beyond this one's; give the run its own folder"
        )


class _Writer:
    """Collects tensors and writes them in files of a limited size."""

    def __init__(self, directory: Path, stem: str) -> None:
        self._directory, self._stem = directory, stem
        self._held: dict[str, Tensor] = {}
        self._bytes = self._written = 0

    def add(self, name: str, tensor: Tensor) -> None:
        self._held[name] = tensor.to("cpu", torch.float32, copy=True).contiguous()
        self._bytes += self._held[name].nbytes
        if self._bytes >= LARGEST_FILE:
            self.flush()

    def flush(self) -> None:
        from safetensors.torch import save_file

        if self._held:
            save_file(self._held, self._directory / f"{self._stem}-{self._written:05d}.safetensors")
            self._written += 1
        self._held, self._bytes = {}, 0
