"""Finding studies, scales and algorithms by name or by file."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

from studies.scales import Scale

if TYPE_CHECKING:  # both import torch, which naming a scale or printing help must not wait for
    from studies.study import AlgorithmFunction, Study

PROJECT = Path(__file__).resolve().parents[1]

STUDIES: dict[str, str] = {
    name: f"studies.{name}"
    for name in (
        *("main_table", "model_families", "exclusive_solves", "ablation_offpolicy", "ablation_gate"),
        *("pass_at_k", "question_dynamics", "training_dynamics", "ablation_components"),
        *("ablation_budget", "noise_floor", "learning_rates"),
    )
}

SCALES: dict[str, str] = {
    "tiny": "studies.scales.tiny_scale:TINY",
    "tiny-llama": "studies.scales.tiny_scale:TINY_LLAMA",
    "qwen2.5-math-1.5b": "studies.scales.paper:QWEN_MATH_1_5B",
    "qwen2.5-math-7b": "studies.scales.paper:QWEN_MATH_7B",
    "llama-3.1-8b": "studies.scales.paper:LLAMA_8B",
}


class UsageError(Exception):
    """The command cannot be carried out as given; the message says what to change."""


def find_study(name: str) -> Study:
    """Return the study of that name, or the `STUDY` of a Python file."""
    from studies.study import Study

    if is_file_name(name):
        study = _attribute(load_file(Path(name)), "STUDY", name)
    else:
        study = importlib.import_module(_look_up("study", name, STUDIES)).STUDY
    if not isinstance(study, Study):
        raise UsageError(f"{name}: STUDY is a {type(study).__name__}, not a studies.study.Study")
    return study


def find_scale(name: str) -> Scale:
    """Return the scale of that name, or the `SCALE` of a Python file."""
    if is_file_name(name):
        scale = _attribute(load_file(Path(name)), "SCALE", name)
    else:
        module, _, attribute = _look_up("scale", name, SCALES).partition(":")
        scale = getattr(importlib.import_module(module), attribute)
    if not isinstance(scale, Scale):
        raise UsageError(f"{name}: SCALE is a {type(scale).__name__}, not a studies.scales.Scale")
    return scale


def find_algorithm(reference: str) -> AlgorithmFunction:
    """Return the function an `AlgorithmRecord` names: one of the registry, or "path/to/file.py:function".

    Paths are relative to the project's folder.
    """
    from algorithms import ALGORITHMS

    if ":" in reference:
        return cast("AlgorithmFunction", find_in_file(reference))
    return ALGORITHMS[known("algorithm", reference, ALGORITHMS)]


def find_in_file(reference: str, folders: Sequence[Path] = (PROJECT,)) -> object:
    """Return what "path/to/file.py:name" names.

    Args:
        reference: Path and name; the path absolute, or relative to one of the folders.
        folders: Where the file may lie, the first that has it.
    """
    path, _, name = reference.rpartition(":")
    places = [folder / path for folder in folders]
    return _attribute(load_file(next((place for place in places if place.is_file()), places[-1])), name, path)


def algorithm_reference(function: str | AlgorithmFunction) -> str:
    """Return the name under which `find_algorithm` finds a function again, in any process."""
    from algorithms import ALGORITHMS

    if isinstance(function, str):
        return known("algorithm", function, ALGORITHMS)
    for name, registered in ALGORITHMS.items():
        if function is registered:
            return name
    return file_reference("algorithm", function, "plain function")


def file_reference(kind: str, thing: object, wanted: str) -> str:
    """Return "path/to/file.py:name" of a function or class, by which any process finds it again.

    Args:
        kind: What messages call it.
        thing: The function or class.
        wanted: What it must be, for messages.
    """
    label = getattr(thing, "__qualname__", repr(thing))
    source = _source_file(thing)
    if source is None or not label.isidentifier():
        raise UsageError(
            f"{kind} {label} must be a {wanted} at the top of a file, so that workers can import it"
        )
    found = _attribute(load_file(source), label, str(source))
    if _first_line(found) != _first_line(thing):
        raise UsageError(f"{kind} {label} is not what {source} defines under that name; rename one of them")
    return f"{relative_to_project(source)}:{label}"


def _source_file(thing: object) -> Path | None:
    """Return the file that a function or class was defined in; None where there is none."""
    if not (inspect.isfunction(thing) or inspect.isclass(thing)):
        return None
    try:
        source = inspect.getsourcefile(thing)
    except TypeError:  # what inspect says of classes typed at a prompt
        return None
    return Path(source) if source is not None and Path(source).is_file() else None


def _first_line(thing: object) -> int | None:
    """Return where in its file a function stands, or the call of a class."""
    call = vars(thing).get("__call__") if inspect.isclass(thing) else thing
    code = getattr(call, "__code__", None)
    return None if code is None else int(code.co_firstlineno)


def is_file_name(name: str) -> bool:
    """Return whether a name given on the command line means a file."""
    return name.endswith(".py") or "/" in name


def relative_to_project(path: Path) -> str:
    """Return a path as records hold it: the project's own files relative to its folder, others absolute."""
    path = path.resolve()
    return str(path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path)


def load_file(path: Path) -> ModuleType:
    """Import a Python file from anywhere, once."""
    path = path.resolve()
    name = f"file_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: not a Python file")
    if str(path.parent) not in sys.path:
        # Last, so that a file's neighbours never hide a package that the project imports later.
        sys.path.append(str(path.parent))
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except UsageError:
        raise
    except Exception as error:
        del sys.modules[name]
        raise UsageError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def known(kind: str, name: str, names: Iterable[str]) -> str:
    """Return `name` if it is among `names`; else raise UsageError with the nearest ones."""
    names = sorted(names)
    if name in names:
        return name
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(names) or 'none'}"
    raise UsageError(f"unknown {kind} {name!r}; {hint}")


def _look_up(kind: str, name: str, registry: dict[str, str]) -> str:
    try:
        return registry[known(kind, name, registry)]
    except UsageError as error:
        raise UsageError(f"{error} (--list shows all; a file of your own is given by its path)") from None


def _attribute(module: ModuleType, name: str, path: str) -> object:
    if not hasattr(module, name):
        raise UsageError(f"{path} defines no {name}")
    return getattr(module, name)
