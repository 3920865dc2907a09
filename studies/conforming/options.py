"""A case's options, which remember which of them a mapping asked for: none may be passed over in silence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")
REQUIRED: Any = object()
SWITCH = {True: True, False: False}
"""The table of an option that is on or off."""


class Inexpressible(ValueError):
    """No composition of parts stands for an option or input of the case; the message says which."""


class OutOfScope(ValueError):
    """The case is left out on purpose; the message says why. It does not fail the command."""


class Options:
    """Options or inputs of a case, read one by one; `close` refuses what was never asked for."""

    def __init__(self, values: Mapping[str, Any], kind: str = "option") -> None:
        self._values, self._kind = dict(values), kind
        self._asked: set[str] = set()

    def given(self, name: str) -> bool:
        """Return whether the case names the option, be it as null."""
        return name in self._values

    def take(self, name: str, default: T = REQUIRED) -> T:
        """Return an option's value; its default where the case does not give it, or gives null."""
        self._asked.add(name)
        value = self._values.get(name)
        if value is None:
            if default is REQUIRED:
                raise Inexpressible(f"{self._kind} {name} is missing")
            return default
        return value  # type: ignore[no-any-return]

    def number(self, name: str, default: float = REQUIRED) -> float:
        """Return an option's value, which must be a number."""
        value: object = self.take(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Inexpressible(f"cannot express {self._kind} {name}={value}: it must be a number")
        return value

    def count(self, name: str, default: int = REQUIRED) -> int:
        """Return an option's value, which must be a whole number of at least 1."""
        value: object = self.take(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise Inexpressible(
                f"cannot express {self._kind} {name}={value}: it must be a whole number from 1"
            )
        return value

    def choose(self, name: str, table: Mapping[Any, T], default: object = REQUIRED) -> T:
        """Return what the table holds for an option's value."""
        value = self.take(name, default)
        if not isinstance(value, str | bool) or value not in table:
            known = ", ".join(str(key) for key in table)
            raise Inexpressible(f"cannot express {self._kind} {name}={value}; known: {known}")
        return table[value]

    def ignore(self, *names: str) -> None:
        """Count options as read although they change nothing; say why beside the call."""
        self._asked.update(names)

    def close(self) -> None:
        """Raise Inexpressible where an option was given that nothing asked for."""
        for name, value in self._values.items():
            if name not in self._asked and value is not None:
                shown = f"={value}" if isinstance(value, str | int | float | bool) else ""
                raise Inexpressible(f"cannot express {self._kind} {name}{shown}")
