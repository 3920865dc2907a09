"""Compare answers that are words, and drop the units and remarks that stand beside a value."""

import re

_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
_MACRO = re.compile(r"\\[a-zA-Z]+|\$[^$]*\$")
_NOT_WORDS = re.compile(r"[=<>^_+*/|&\d]|\\(?!text(?![a-z])|quad| )[a-zA-Z]+")
_FILLERS = frozenset({"the", "a", "an", "any", "is", "are", "of", "all", "answer", "it", "both"})
# Words that change what is said; an answer that holds one is compared whole.
_TURNS = frozenset({
    "not", "no", "never", "neither", "nor", "none", "or", "and", "but", "if", "unless", "except", "only",
    "than", "before", "after", "without", "cannot", "either", "however", "false", "fewer", "less", "more",
    "most", "least", "half", "twice", "some", "there", "this", "that",
})  # fmt: skip
# A row of words is no sentence: an answer must say one thing.
_VERBS = frozenset({
    "is", "are", "was", "were", "be", "has", "have", "had", "will", "can", "does", "did", "wins", "gets",
    "must",
})  # fmt: skip
_SHORT = 3

_UNIT_TEXT = re.compile(
    r"(?<=[\d})\]!a-zA-Z])\s*(?:\\text\s*\{\s*([^{}]*?)\s*\})\s*(?:\^\s*\{?\s*\d\s*\}?)?(?:/\s*\\text\s*\{[^{}]*\})?\s*$"
)
_UNIT_BARE = re.compile(r"(?<=[\d})])\s*([A-Za-z]{1,12}(?:[ /]+[A-Za-z]{1,12}){0,2}\.?)(?:\^\{?\d\}?)?\s*$")
_QUANTITY = re.compile(r"-?\s*(?:\d|\\frac|\\sqrt|\.\d|\\pi).*", re.DOTALL)
_NO_UNIT = re.compile(
    r"\b(?:or|and|if|when|for|to|mod|million|billion|thousand|hundred|dozen|percent|where|base|not|otherwise|than|"
    r"square root|pi|sqrt|with)\b",
    re.IGNORECASE,
)
_VARIABLES = re.compile(r"[A-Za-z]{1,2}|[a-z] [a-z]")
_SCALES = {
    name: unit
    for unit, names in {
        "mm": "mm millimeter millimetre", "cm": "cm centimeter centimetre", "m": "m meter metre",
        "km": "km kilometer kilometre", "g": "g gram", "kg": "kg kilogram", "s": "s sec second",
        "min": "min minute", "h": "h hr hour", "day": "day", "in": "in inch inche", "ft": "ft foot feet",
        "mile": "mile mi", "cent": "cent", "dollar": "dollar usd", "degree": "degree", "radian": "radian rad",
    }.items()
    for name in names.split()
}  # fmt: skip


def words_of(text: str) -> list[str] | None:
    """Return the words of an answer in lower case; None if it is not made of words."""
    flat = _TEXT.sub(r" \1 ", text).replace("\\ ", " ")
    if _NOT_WORDS.search(flat):
        return None
    words = [word.strip("'-").casefold() for word in _WORD.findall(flat)]
    return words if words[:1] in (["yes"], ["no"]) or any(len(word) >= _SHORT for word in words) else None


def sentence_of(text: str) -> list[str] | None:
    """Return the words of a sentence, formulas left out; None if it is none."""
    flat = _MACRO.sub(" ", _TEXT.sub(r" \1 ", text))
    words = [word.strip("'-").casefold() for word in _WORD.findall(flat)]
    return words if sum(len(word) > _SHORT - 1 for word in words) >= _SHORT else None


def same_words(answer: str, gold: str) -> bool | None:
    """Return whether two answers in words agree; None where one is not in words.

    They agree word for word, articles aside, or where one of them is a short phrase with which the other,
    a sentence, begins or ends: its subject or what it says of it.
    """
    left, right = words_of(answer), words_of(gold)
    if left is None and right is None:
        return None
    verdicts = [side[0] for side in (left, right) if side and side[0] in ("yes", "no")]
    if len(verdicts) == 2:
        return verdicts[0] == verdicts[1]
    if left is not None and right is not None and _content(left) == _content(right):
        return True
    if left is not None and (sentence := sentence_of(gold)):
        return _names(_content(left), _content(sentence))
    if right is not None and (sentence := sentence_of(answer)) and _VERBS & {*sentence}:
        return _names(_content(right), _content(sentence))
    return False if left is not None and right is not None else None


def _content(words: list[str]) -> list[str]:
    return [word for word in words if word not in _FILLERS]


def _names(phrase: list[str], sentence: list[str]) -> bool:
    short, long = sorted((phrase, sentence), key=len)
    if not 0 < len(short) <= _SHORT or _TURNS & {*short, *long}:
        return False
    return short in (long[: len(short)], long[-len(short) :]) and any(len(word) >= _SHORT for word in short)


def split_unit(text: str) -> tuple[str, str]:
    """Return a quantity and the unit or remark that follows it, "" for none."""
    if not _QUANTITY.fullmatch(text.strip()):
        return text, ""
    found = _UNIT_TEXT.search(text)
    if found is None:
        found = _UNIT_BARE.search(text)
        if found and _VARIABLES.fullmatch(found[1]) and found[1].casefold() not in _SCALES:
            return text, ""  # a product with variables
        if found and len(found[1]) == 1:
            return text, ""
    if found is None or _NO_UNIT.search(found[1]):
        return text, ""
    return text[: found.start()].strip(), found[1].strip(" .~").casefold()


def units_differ(left: str, right: str) -> bool:
    """Return whether two units measure the same thing by different scales, as cm and m do."""
    scales = [_SCALES.get(unit.removesuffix("s")) or _SCALES.get(unit) for unit in (left, right)]
    return None not in scales and scales[0] != scales[1]
