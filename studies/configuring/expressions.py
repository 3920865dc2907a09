"""Parts as text and back: `ClipMask(0.2)`, `Rollouts(ThresholdGate(0.125))`, `masks.py:MyMask(low=0.1)`.

Text is parsed, never evaluated. It may hold literals, tuples, calls of parts that the core exports, and
classes and functions of a user's own file; a class without parentheses is called without arguments.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from studies.catalog import PROJECT, UsageError, file_reference, find_in_file, known
from studies.configuring.kinds import PARTS, conform, element_hint, field_hints, find_part, takes_parts
from studies.configuring.settings import as_kind

_NAME = r"[^\W\d]\w*"
_TOKENS = re.compile(
    rf"(?P<quoted>'[^'\\]*\.py'|\"[^\"\\]*\.py\"):(?P<of_quoted>{_NAME})"
    r"|(?P<string>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    rf"|(?P<path>[^\s'\"()\[\],=:]+\.py):(?P<of_path>{_NAME})"
)
"""References to files, and strings, in which there are none."""
_PLAIN_PATH = re.compile(r"[^\s'\"()\[\],=:\\]+\.py")


def read_part(text: str, hint: Any, folders: Sequence[Path] = (PROJECT,)) -> Any:  # noqa: ANN401
    """Return the part, number or word that a text means in a field.

    Args:
        text: What stands after the `=`.
        hint: What the field takes.
        folders: Where relative paths of a user's own files start, the first that has the file.

    Raises:
        UsageError: It cannot be read, or is nothing that the field takes.
    """
    if not takes_parts(hint):
        return _read_plain(text, hint)
    if text.lower() in ("none", "null"):
        return conform(None, hint)
    names, parsable = _references(text)
    try:
        tree = ast.parse(parsable.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"cannot be read as a part: {getattr(error, 'msg', error)}") from None
    return _Reader({name: find_in_file(reference, folders) for name, reference in names.items()}).read(
        tree, hint
    )


def _read_plain(text: str, hint: Any) -> Any:  # noqa: ANN401
    """Return what a text means where no part can stand: as Python writes it, or else as settings are read."""
    try:
        return conform(ast.literal_eval(text.strip()), hint)
    except (UsageError, SyntaxError, ValueError, RecursionError, MemoryError, TypeError):
        return as_kind(text, hint)


def _references(text: str) -> tuple[dict[str, str], str]:
    """Return a text's references by the names put in their place, and the text with those."""
    names: dict[str, str] = {}

    def name(found: re.Match[str]) -> str:
        if found["string"]:
            return found[0]
        path = found["path"] or found["quoted"][1:-1]
        return names.setdefault(f"{path}:{found['of_path'] or found['of_quoted']}", f"own_{len(names)}_")

    parsable = _TOKENS.sub(name, text)
    return {placed: reference for reference, placed in names.items()}, parsable


def files_in(text: str) -> set[str]:
    """Return the files of a user's own that a part's text names."""
    return {reference.rpartition(":")[0] for reference in _references(text)[0].values()}


@dataclasses.dataclass(frozen=True)
class _Reader:
    """Makes parts of a syntax tree; `own` holds what the names of references stand for."""

    own: Mapping[str, object]

    def read(self, node: ast.expr, hint: Any) -> Any:  # noqa: ANN401
        return conform(self._value(node, hint), hint)

    def _value(self, node: ast.expr, hint: Any) -> object:  # noqa: ANN401
        match node:
            case ast.Constant(value=value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return -number
            case ast.Tuple(elts=items) | ast.List(elts=items):
                return tuple(self.read(item, element_hint(hint, place)) for place, item in enumerate(items))
            case ast.Name(id="nan" | "inf" as word):
                raise UsageError(f"{word} is no finite number")
            case ast.Name(id=name):
                thing = self._named(name, hint)
                return self._called(thing, (), {}) if inspect.isclass(thing) else thing
            case ast.Call(func=ast.Name(id=name), args=values, keywords=keywords):
                by_name = {keyword.arg: keyword.value for keyword in keywords if keyword.arg is not None}
                if len(by_name) < len(keywords) or any(isinstance(value, ast.Starred) for value in values):
                    raise UsageError("arguments are written out, without * and **")
                return self._called(self._named(name, hint), values, by_name)
        raise UsageError(f"{ast.unparse(node)} is neither a literal nor a part")

    def _named(self, name: str, hint: Any) -> object:  # noqa: ANN401
        return self.own[name] if name in self.own else find_part(name, hint)

    def _called(self, thing: object, values: Sequence[ast.expr], by_name: Mapping[str, ast.expr]) -> object:
        """Return the part that a class makes of its arguments."""
        label = getattr(thing, "__name__", repr(thing))
        if inspect.isfunction(thing):
            raise UsageError(f"{label} is a function, and stands for itself: write it without parentheses")
        if not inspect.isclass(thing) or not _is_frozen(thing):
            raise UsageError(
                f"{label} is no part: a part is a frozen dataclass, so that a record can hold it"
            )
        hints = field_hints(thing)
        for name in by_name:
            known(f"field of {label}", name, hints)
        try:
            bound = inspect.signature(thing).bind(*values, **by_name)
        except TypeError as error:
            raise UsageError(f"{label}: {error}; its fields: {', '.join(hints) or 'none'}") from None
        for name, node in bound.arguments.items():
            bound.arguments[name] = self._argument(f"{label}.{name}", node, hints.get(name, Any))
        try:
            return thing(*bound.args, **bound.kwargs)
        except (ValueError, TypeError) as error:
            raise UsageError(str(error)) from error

    def _argument(self, label: str, node: ast.expr, hint: Any) -> object:  # noqa: ANN401
        try:
            return self.read(node, hint)
        except UsageError as error:
            raise UsageError(f"{label}: {error}") from error


def _is_frozen(thing: type) -> bool:
    parameters = getattr(thing, "__dataclass_params__", None)
    return parameters is not None and bool(parameters.frozen)


def write_part(part: object) -> str:
    """Return the text that `read_part` makes an equal part of; that of the core's parts is their repr.

    Raises:
        UsageError: There is none: the part, or something it holds, is no plain data and nothing that a file
            defines at its top.
    """
    if part is None or type(part) in (bool, int, float, str):
        text = repr(part)
        return text if text not in ("inf", "-inf", "nan") else _unwritable(part)
    if isinstance(part, tuple | list):
        return f"({', '.join(map(write_part, part))}{',' if len(part) == 1 else ''})"
    if inspect.isfunction(part):
        return _write_reference(file_reference("part", part, "plain function"))
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        held = {field.name: getattr(part, field.name) for field in dataclasses.fields(part) if field.init}
        told = ", ".join(f"{name}={write_part(value)}" for name, value in held.items())
        return f"{_class_name(type(part))}({told})"
    return _unwritable(part)


def _class_name(kind: type) -> str:
    if PARTS.get(kind.__name__) is kind:
        return kind.__name__
    if kind.__module__.partition(".")[0] == "core":
        raise UsageError(f"{kind.__name__} is no part that the core exports")
    return _write_reference(file_reference("part", kind, "class"))


def _write_reference(reference: str) -> str:
    path, _, name = reference.rpartition(":")
    if _PLAIN_PATH.fullmatch(path):
        return reference
    quote = "'" if "'" not in path else '"'
    if quote in path or "\\" in path:
        raise UsageError(f"{path} cannot be recorded; take quotes and backslashes out of the file's name")
    return f"{quote}{path}{quote}:{name}"


def _unwritable(part: object) -> NoReturn:
    raise UsageError(
        f"{part!r} cannot be recorded as text: a part holds finite numbers, words and other parts; functions "
        "and classes of your own stand at the top of a file"
    )
