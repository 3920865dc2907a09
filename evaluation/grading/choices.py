"""Read which option of a multiple-choice question an answer or a gold names."""

import re

_LETTER = re.compile(r"\(?([A-Ja-j])\)?")
_OPENING = re.compile(
    r"(?:\\text\s*\{|\*\*|\s|\\ )*\(?\s*([A-Ja-j])(?:\s*[).:,]|\*\*|\s*\}?\s*[).:]*\s*$)"
    r"(?!\s*(?:and|or|&)?\s*\(?[A-J]\)?(?![a-z]))"
)
_IN_TEXT = re.compile(r"\b[Aa]nswer(?: is|:)[^.A-Z]*\(?\b([A-J])\b")


def chosen(text: str, *, whole: bool) -> str | None:
    """Return the letter, in upper case, of the option that a rewritten answer chooses, if it names one."""
    match = _OPENING.match(text)
    if match is None or (match[1].islower() and not whole):
        match = None if whole else _last(text)
    return match[1].upper() if match else None


def gold_choice(gold: str) -> str | None:
    """Return the letter of a gold that is one, bare, in brackets or marked as text; else None."""
    match = _LETTER.fullmatch(re.sub(r"\\text\s*\{([^{}]*)\}", r"\1", gold).strip())
    return match[1].upper() if match else None


def option_named(gold: str) -> str | None:
    """Return the letter of the option that a gold in words gives first or announces as its answer."""
    match = re.match(r"\s*\(([A-J])\)\s+\w|(?:\\text\{)?[A-Z]?[a-z]+ ([A-J])\}?$", gold) or re.search(
        r"\banswer is\s*\(?([A-J])\b", gold
    )
    return next(filter(None, match.groups())) if match else None


def _last(text: str) -> re.Match[str] | None:
    return next(reversed(list(_IN_TEXT.finditer(text))), None)
