"""Bring an answer and its gold into one form where only their notation differs."""

import re

_NAME = r"[A-Za-z](?:_(?:\{[^{}]*\}|\w))?"
_LABEL = rf"(?:{_NAME}(?:\([^()=]*\))?|\({_NAME}(?:,\s*{_NAME})*\))"
_LABELLED = re.compile(rf"(?:\s|\\ )*{_LABEL}\s*=\s*([^=<>]+)")
_DEFINITION = re.compile(r"\s*([A-Za-z])\(([a-z])\)\s*=(.*)", re.DOTALL)
_DEGREES = re.compile(r"(\d+(?:\.\d+)?)\s*\^\s*\{?\s*\\circ\s*\}?")
_PARAMETER = re.compile(r"(?<![\\a-zA-Z])[klmn](?![a-zA-Z(])")
_LIST = re.compile(r"[,;](?![^([{]*[)\]}])|\\text\{\s*(?:and|or)\s*\}")

_CHOICE = re.compile(r"\s*(?:\\text\w*\{)?\s*\(?([A-J])(?:[).:]|$)")
_CHOICE_IN_TEXT = re.compile(r"\b[Aa]nswer(?: is|:)[^.A-Z]*\(?\b([A-J])\b")


def align(answer: str, golds: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return both sides after every rule that needs to see both."""
    answer, golds = _unlabel(answer, golds)
    if all(map(_DEFINITION.fullmatch, (answer, *golds))):
        answer, *renamed = map(_rename_argument, (answer, *golds))
        golds = tuple(renamed)
    if all(r"\pi" in side for side in (answer, *golds)):
        answer, *renamed = map(_rename_parameter, (answer, *golds))
        golds = tuple(renamed)
    if any(r"\pi" in side for side in (answer, *golds)):
        answer, *renamed = map(_to_radians, (answer, *golds))
        golds = tuple(renamed)
    return answer, golds


def choice(text: str, *, boxed: bool) -> str | None:
    """Return the letter of the option that `text` chooses, if it names one."""
    match = _CHOICE.match(text)
    if match is None and not boxed:
        match = next(reversed(list(_CHOICE_IN_TEXT.finditer(text))), None)
    return match and match[1]


def _unlabel(answer: str, golds: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Drop names from `a = 1, b = 2` where the other side gives the values alone."""
    if all("=" not in gold for gold in golds):
        return _values(answer), golds
    if "=" not in answer:
        return answer, tuple(map(_values, golds))
    return answer, golds


def _values(text: str) -> str:
    matches = [_LABELLED.fullmatch(part) for part in _LIST.split(text)]
    return ", ".join(match[1].strip() for match in matches if match) if all(matches) else text


def _rename_argument(text: str) -> str:
    return _DEFINITION.sub(_with_argument_x, text)


def _with_argument_x(definition: re.Match[str]) -> str:
    name, argument, body = definition.groups()
    letter = rf"(?<![\\a-zA-Z]){argument}(?![a-zA-Z])"
    return f"{name}(x)={re.sub(letter, 'x', body)}"


def _rename_parameter(text: str) -> str:
    found = set(_PARAMETER.findall(text))
    return _PARAMETER.sub("k", text) if len(found) == 1 else text


def _to_radians(text: str) -> str:
    return _DEGREES.sub(r"\\frac{\1 \\pi}{180}", text)
