"""Find where a response states its answer."""

import re
from typing import NamedTuple

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
# What an answer without a box is read from; it stands at the end of a response.
UNBOXED_TAIL = 4_000

_BOX = r"\\{1,2}boxed\s*\{"
_BOX_TOKENS = re.compile(rf"{_BOX}|\\.|[{{}}]", re.DOTALL)
# Between two boxes that are one answer: "and" or a comma, and nothing that says anything else.
_JOINT = re.compile(
    r"(?: [a-z]{1,12}(?= and\b))?(?:[\s$,;]|\\[()\[\],;: ]|\\q?quad|(?:\\text\w*\{)?\s*\band\b\s*\}?)*"
)
_JOINT_WORD = re.compile(r"\band\b|[,;](?!\\)")

_TOKEN_BOX = re.compile(r"\\boxed[ \t]*([\w.]+|\\[a-zA-Z]+)")
_TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_TURN = re.compile(r"<\|(?:im_start|im_end|endoftext|eot_id)\|>.*", re.DOTALL)
_HOPE = re.compile(r"\s*I hope (?:it|this) is correct\.?[\"'\s]*$")
_ANNOUNCED = re.compile(
    r"(?:^####(?= )|\banswer\b[*_\s]*(?:is\b|=|:)|答案\s*(?:是|为|:|：)"
    r"|^#+ *(?:final )?answer\b[:\s]*$)[*:\s]*",
    re.IGNORECASE | re.MULTILINE,
)
_PHRASE_END = re.compile(r"(?<![\d.])\.(?=\s|$)|(?<=\d)\.(?=\s|$)|\n\s*\n|。")
_BRACKETED = re.compile(r"\bis \[\s*([^][]{1,40}?)\s*\]\.?\s*$")
# A formula within a line: a lone dollar sign is money, not mathematics.
_BROKEN_INLINE = re.compile(r"(?<![\\$])\$[ \t]*\n[^$\n]*\n[ \t]*\$(?!\$)|\\\([ \t]*\n[^\\\n]*\n[ \t]*\\\)")
_TASK = re.compile(
    r"(?:\b(?:must|need to|have to|want to|asked to|trying to|should|let us|let's)\s+|^\W*(?:now )?)"
    r"(?:find|compute|calculate|determine|evaluate|solve|simplify|show|prove|consider)\b",
    re.IGNORECASE,
)
_DOUBT = re.compile(
    r"\b(?:could be|might|may be|maybe|perhaps|(?:more|most) likely|not sure|unsure|probably|guess)\b",
    re.IGNORECASE,
)
_OPENED, _CLOSED = re.compile(r"(?<!\\)\\[\[(]"), re.compile(r"(?<!\\)\\[\])]")
_ONE_FORMULA = re.compile(
    r"(?:\$\$?([^$]+)\$\$?|\\[\[(]((?:(?!\\[\[\]()]).)+)\\[\])])(\s*(?:\\?%|percent|pct|degrees|[a-z]+)?)\s*\.?",
    re.DOTALL,
)
_BARE = 200
# Boxes that are joined, or one in another, begin within so many characters.
_NEAR = 2_000
_FEW = 3
_PROSE = re.compile(r"(?<!\\)\$|\\[\[(]|\\boxed|(?<![\\a-zA-Z])(?!sqrt)[A-Za-z]{3,}")


class Stated(NamedTuple):
    """What a response states.

    Args:
        answer: Its answer, or the text that it is to be looked for in; "" for none.
        whole: Whether the text is all answer.
        joint: Boxes that "and" or a comma joins, as one list; "" where the last box stands alone.
    """

    answer: str
    whole: bool
    joint: str = ""


def find_answer(response: str, *, boxed_required: bool) -> Stated:
    """Return what the part of a response after its thinking states."""
    text = (final_part(response) or "").strip()
    boxes = find_boxes(text)
    if boxes or boxed_required:
        # A tab or form feed may be half a macro.
        return Stated(boxes[-1].strip(" \n") if boxes else "", True, _joint(boxes))
    return _find_unboxed(text)


def final_part(response: str) -> str | None:
    """Return the text after the last `</think>`, or None when thinking never ended."""
    tail = response.rpartition(THINK_CLOSE)[2]
    return None if THINK_OPEN in tail else tail


def last_box(text: str) -> str | None:
    r"""Return the content of the last balanced `\boxed{...}`, or None when there is none."""
    boxes = find_boxes(text)
    return boxes[-1] if boxes else None


def find_boxes(text: str) -> list[str]:
    r"""Return the contents of the last balanced `\boxed{...}` and of those that are joined to it.

    Linear in the text, of which mostly the end is read; an escaped brace is text. A box inside a box
    belongs to the outer one.
    """
    last = text.rfind("\\boxed")
    if last < 0:
        return []
    near = max(0, text.find("\\boxed"), last - _NEAR)
    return _boxes_from(text, near) or _boxes_from(text, 0)


def _boxes_from(text: str, first: int) -> list[str]:
    run: list[tuple[int, int, int]] = []
    stack: list[tuple[int, int] | None] = []
    for token in _BOX_TOKENS.finditer(text, first):
        if token[0] == "{":
            stack.append(None)
        elif token[0].endswith("{") and len(token[0]) > 2:
            stack.append(token.span())
        elif token[0] == "}" and stack:
            opened = stack.pop()
            if opened is not None:
                _append(run, text, (*opened, token.start()))
    return [text[start:end] for _, start, end in run]


def gold_answer(gold: str) -> str:
    """Return what a gold states: its boxes as one list, or all of it."""
    boxes = find_boxes(gold)
    return ", ".join(box.strip(" \n") for box in boxes or [gold])


def _append(run: list[tuple[int, int, int]], text: str, box: tuple[int, int, int]) -> None:
    """Add a box to the run that it is joined to, else begin a run with it."""
    while run and run[-1][0] > box[0]:
        run.pop()  # it lies inside this one
    between = text[run[-1][2] + 1 : box[0]] if run else None
    if between is None or len(between) > _BARE or not _is_joint(between):
        run.clear()
    run.append(box)


def _is_joint(between: str) -> bool:
    return bool(_JOINT.fullmatch(between) and _JOINT_WORD.search(between))


def _joint(boxes: list[str]) -> str:
    return ", ".join(box.strip(" \n") for box in boxes) if len(boxes) > 1 else ""


def is_bare(text: str) -> bool:
    """Return whether a text without a box is an answer and nothing else: no words, no formulas."""
    return len(text) <= _BARE and not _PROSE.search(text)


def _find_unboxed(text: str) -> Stated:
    if "\\boxed" in text:
        short = _TOKEN_BOX.search(text, text.rfind("\\boxed"))
        return Stated(short[1] if short else "", True)
    tags = _TAG.findall(text[-UNBOXED_TAIL:])
    if tags:
        return Stated(tags[-1].strip(), True)
    text = _HOPE.sub("", _TURN.sub("", text[-UNBOXED_TAIL:])).strip()
    if len(_OPENED.findall(text)) > len(_CLOSED.findall(text)):
        return Stated("", True)  # cut off inside a formula
    announced = _announced(text)
    if announced and (is_bare(announced) or _is_brief(announced)):
        return Stated(announced, True)
    formula = _ONE_FORMULA.fullmatch(text)
    if formula and not _BROKEN_INLINE.search(text):
        return Stated((formula[1] or formula[2]).strip() + formula[3], True)
    if not _PROSE.search(text):
        return Stated(text if len(text) <= _BARE else "", True)
    last = _last_sentence(text)
    if not announced and (_DOUBT.search(last) or _TASK.search(last)):
        return Stated("", True)
    bracketed = _BRACKETED.search(text)
    return Stated(bracketed[1], True) if bracketed else Stated(_BROKEN_INLINE.sub("", text), False)


def _announced(text: str) -> str:
    """Return what follows the last "the answer is", up to the end of its sentence."""
    last = next(reversed(list(_ANNOUNCED.finditer(text))), None)
    if last is None:
        return ""
    phrase = _PHRASE_END.split(text[last.end() :], maxsplit=1)[0].strip()
    return re.sub(r"^\$([^$]+)\$$|^\\\((.*)\\\)$", r"\1\2", phrase.strip("* "))


def _is_brief(text: str) -> bool:
    """Return whether a text is a word or a few, without a formula among them."""
    return not re.search(r"[$\\]", text) and len(text.split()) <= _FEW


def _last_sentence(text: str) -> str:
    return [part for part in re.split(r"[.!?]\s+|\n", text) if part.strip()][-1]
