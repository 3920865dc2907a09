"""The study of a command line whose lists of words took it for one of theirs."""

from __future__ import annotations

import dataclasses
from typing import Protocol, TypeVar


class _Command(Protocol):
    @property
    def study(self) -> str: ...


C = TypeVar("C", bound=_Command)


def study_named(command: C, *lists: str) -> C:
    """Return a command with its study named, where a list such as `--set` took all words that follow it.

    In `--set train.steps=10 ablation_gate` the study is the one word that is no KEY=VALUE.

    Args:
        command: A dataclass; it stays as it is where it has a study, or no word or several may be one.
        lists: Its fields that hold groups of KEY=VALUE words.
    """
    words = {name: [word for group in getattr(command, name) for word in group] for name in lists}
    others = [word for held in words.values() for word in held if "=" not in word]
    if command.study or len(others) != 1:
        return command
    pairs = {name: (tuple(word for word in held if "=" in word),) for name, held in words.items()}
    return dataclasses.replace(command, study=others[0], **pairs)  # type: ignore[type-var]
