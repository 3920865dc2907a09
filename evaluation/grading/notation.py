"""Rewrite an answer into the one notation that everything else reads: plain LaTeX.

Each class of notation is one row of `REWRITES`; a new class is a new row.
"""

import re
import unicodedata

_CHARACTERS = {
    "−": "-", "–": "-", "—": "-", "∞": r"\infty ", "π": r"\pi ", "×": r"\times ", "÷": r"\div ",
    "·": r"\cdot ", "⋅": r"\cdot ", "≤": r"\leq ", "≥": r"\geq ", "≠": r"\neq ", "±": r"\pm ",
    "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ", "°": r"^{\circ}", "⁄": "/",
    "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "θ": r"\theta ", "λ": r"\lambda ",
    "φ": r"\phi ", "ω": r"\omega ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}",
    "ρ": r"\rho ", "σ": r"\sigma ", "μ": r"\mu ", "∠": r"\angle ", "∀": r"\forall ", "→": r"\to ",
    "≈": r"\approx ", "∶": ":", "，": ",", "、": ",", "。": ".",
    "€": "", "£": "", "¥": "", "￥": "",
    "\u200b": "", "\u200c": "", "\u200d": "", "\u2060": "", "\ufeff": "",
}  # fmt: skip
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿ", "0123456789+-()n")
_NUMBER = r"\d+(?:\.\d+)?"

_FUNCTIONS = "arcsin|arccos|arctan|sin|cos|tan|cot|sec|csc|log|ln|exp|max|min"
_MACROS = "frac|dfrac|tfrac|sqrt|pi|left|right|cdot|times|text|infty|circ|begin|end|boxed"
_TEXT = r"\\(?:text(?:bf|it|rm|normal|sf|tt)?|textnormal|mathrm|mathbf|mathit|mathsf|mbox|hbox|operatorname)"

_OPEN, _SHUT = rf"(?:{_TEXT}\{{)?\s*", r"\s*\}?"
_SINES = r"\\(?:sin|cos|tan|cot|sec|csc)"
_CIRC = r"\^\s*\{?\s*\\circ\s*\}?"
_BRACED = r"\{\s*([a-z])\s*(?:\\in\s*\\mathbb\{R\}\s*)?(?:\||:|\\mid|\\colon)\s*([^|{}]*?)\\?\}"


def _spelt_relation(match: re.Match[str]) -> str:
    return {"<": r"\leq ", ">": r"\geq ", "!": r"\neq "}[match[1]]


_COUNTED = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip


def _counted(match: re.Match[str]) -> str:
    return str(_COUNTED.index(match[1]))


# (what it reads, pattern, replacement), applied in order.
REWRITES = tuple(
    (name, re.compile(pattern), replacement)
    for name, pattern, replacement in (
        ("escape damage: \\f", "\\\\?\f(?=rac)", r"\\f"),
        ("escape damage: \\b", "\b(?=inom|eta)", r"\\b"),
        ("escape damage: \\t", "\t(?=ext|imes|heta|an|frac)", r"\\t"),
        ("doubled backslash", rf"(?<!\\)\\\\(?=(?:{_MACROS})(?![a-zA-Z]))", r"\\"),
        ("markup for powers", r"<sup>([^<>]*)</sup>", r"^{\1}"),
        ("markup for indices", r"<sub>([^<>]*)</sub>", r"_{\1}"),
        ("comment", r"(?<!\\)%[ \t]+(?!of\b)[a-zA-Z][^\n]*", ""),
        ("percent in words", r"(?<=\d)\s*\\?\s*(?:percent(?:age)?|pct)\b\.?", r"\\%"),
        ("percent outside the formula", r"(?<=\d)\$\s*\\?%", r"\\%"),
        ("math delimiters", r"(?<!\\)\$|(?<!\\)\\[\[\]()]", ""),
        ("amount of money", r"\\\$|\\(?:yen|pounds|euro)(?![a-z])", ""),
        ("bold", r"^\*\*([^*]+)\*\*$", r"\1"),
        ("font", rf"{_TEXT}(?=\s*\{{)", r"\\text"),
        ("leading relation", r"^\s*(?:=|≈|\\approx(?![a-z])|\\sim(?![a-z]))", ""),
        ("size commands", r"\\(?:displaystyle|textstyle|[bB]igg?[lr]?)(?![a-zA-Z])", ""),
        ("left and right", r"\\(?:left|right)(?![a-zA-Z])\s*\.?", ""),
        ("slanted relations", r"\\(leq|geq)slant(?![a-zA-Z])", r"\\\1"),
        ("short relations", r"\\(l|g|n)e(?![a-zA-Z])", r"\\\1eq"),
        ("spelt relations", r"(?<![<>=])([<>!])=", _spelt_relation),
        ("set difference and union", r"\\(?:bigcup|cupdot|sqcup)(?![a-zA-Z])", r"\\cup"),
        ("root sign", rf"√\s*(?:\(([^()]*)\)|({_NUMBER}|[a-z]))", r"\\sqrt{\1\2}"),
        ("empty set", r"\\varnothing(?![a-z])|\\\{\s*\\\}", r"\\emptyset"),
        ("degrees in a function", rf"({_SINES})\s*\(?\s*(\d+)\s*{_CIRC}\s*\)?", r"\1(\\frac{\2\\pi}{180})"),
        ("box in a box", r"\\boxed\s*\{([^{}]*)\}", r"\1"),
        ("all numbers", rf"^{_OPEN}(?:the set of )?all reals?(?: numbers)?{_SHUT}$", r"\\mathbb{R}"),
        ("no solution", rf"^{_OPEN}(?:no (?:real )?solutions?|(?:the )?empty set){_SHUT}$", r"\\emptyset"),
        ("number in words", rf"^{_OPEN}({'|'.join(_COUNTED)}){_SHUT}$", _counted),
        ("binomial", r"(?<![a-zA-Z])C_\{?(\d+)\}?\^\{?(\d+)\}?", r"\\binom{\1}{\2}"),
        ("common logarithm", r"\\lg(?![a-z])", r"\\log_{10}"),
        ("name of a line", r"^[a-zA-Z]\s*:\s*(?=[^:]*=[^:]*$)", ""),
        ("connective", r"\\text\{\s*,?\s*(and|or)\s*\}", r" \1 "),
        ("library prefix", r"(?<![a-zA-Z.])(?:np|numpy|math|sympy)\.(?=[a-z])", ""),
        ("spelt function", rf"(?<![\\a-zA-Z])({_FUNCTIONS})(?=\()", r"\\\1"),
        ("spelt root", r"(?<![\\a-zA-Z])sqrt\(([^()]*)\)", r"\\sqrt{\1}"),
        ("spelt constant", r"(?<![\\a-zA-Z])pi(?![a-zA-Z])", r"\\pi "),
        ("spelt power", r"\*\*", "^"),
        ("exponent in parentheses", r"\^\(([^()]*)\)", r"^{\1}"),
        ("plus in an exponent", r"\^\{\+", "^{"),
        ("function as text", rf"\\text\{{({_FUNCTIONS})\}}", r"\\\1 "),
        ("bare denominator", r"(\\[dt]?frac\{[^{}]*\}) ?([a-zA-Z0-9])", r"\1{\2}"),
        ("fractions of one size", r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        ("spaced thousands", r"(?<=\d)(?:\\[,;: ]|,?\\!\s*|\{,\}|~|(?<!,) )(?=\d{3}(?!\d))", ""),
        ("e-notation", rf"(?<![\w.\\])({_NUMBER})[eE]([+-]?\d+)(?!\w)", r"\1 \\times 10^{\2}"),
        ("spaces", r"(?<!\\)\\[,;:! ]|~|\\q?quad(?![a-z])\s*|\\hspace\{[^{}]*\}", " "),
        ("point without decimals", r"(?<=\d)\.(?=\s*[/*)]|\s*$)", ""),
        ("ordinal", r"(\d)(?:st|nd|rd|th)\b", r"\1"),
        ("label", r"(?<![\\\w{])(?=[A-Za-z]*[a-z]{3})[A-Za-z]++(?: \d+)?:\s*", ""),
        ("set-builder", rf"^\\?{_BRACED}$", r"\2"),
        ("stop before a bracket", r"\.\s*(?=[\])]$)", ""),
        ("unfinished end", r"(?:\s|\\|(?<!\\)\^|[.,;])+$", ""),
    )
)  # fmt: skip
_SPELLINGS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\(?:left|right|[!,;: ]|quad|qquad)(?![a-zA-Z])|[\s~]|\.\s*$", ""),
        (r",\s*(?=&|\\\\)", ""),
        (r"\\(?:ldots|cdots|dots[cbmio]?)(?![a-z])|\.\.\.", r"\\ldots"),
        (r"\\text\{([^{}]*)\}", r"\1"),
        (r"(?<!\\)\{(\w)\}", r"\1"),
        (r"^\(([A-Za-z])\)$", r"\1"),
    )
)
_DOUBLED = re.compile(r"(?<!\\)\\(?=\\[a-zA-Z])")
_PAIRS = {"(": ")", "{": "}", "[": "]"}


def rewrite(text: str) -> str:
    """Return `text` in plain LaTeX: unicode spelled out, then every row of `REWRITES`."""
    if not text.isascii():
        text = "".join(map(_plain_character, text))
        text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿ]+", lambda m: "^{" + m[0].translate(_SUPERSCRIPTS) + "}", text)
        text = unicodedata.normalize("NFKC", text)
    if r"\begin" not in text:
        text = _DOUBLED.sub("", text)  # where no rows end, a doubled backslash is escape damage
    for _, pattern, replacement in REWRITES:
        text = pattern.sub(replacement, text)
    return unwrap(text.strip())


def _plain_character(character: str) -> str:
    if character in _CHARACTERS:
        return _CHARACTERS[character]
    if unicodedata.category(character) == "Nd":
        return str(unicodedata.digit(character))
    decomposition = unicodedata.decomposition(character)
    if decomposition.startswith("<fraction>"):
        over, under = unicodedata.normalize("NFKC", character).split("⁄")
        return rf"\frac{{{over}}}{{{under}}}"
    if decomposition.startswith("<circle>"):
        return unicodedata.normalize("NFKC", character) + ","  # ①③ chooses two items of a list
    return character


def unwrap(text: str) -> str:
    """Return `text` without brackets around brackets, and without braces around all of it."""
    closing = _closing(text)
    doubled = {
        index
        for index, end in closing.items()
        if closing.get(index + 1) == end - 1 and text[index] == text[index + 1] != "["
    }
    dropped = doubled | {closing[index] for index in doubled}
    text = "".join(character for index, character in enumerate(text) if index not in dropped)
    return text[1:-1].strip() if _closing(text).get(0) == len(text) - 1 and text[0] == "{" else text


def _closing(text: str) -> dict[int, int]:
    """Return where each bracket that is closed by its own kind is closed."""
    closing: dict[int, int] = {}
    stack: list[int] = []
    for token in re.finditer(r"\\.|[][(){}]", text):
        if token[0] in _PAIRS:
            stack.append(token.start())
        elif token[0] in ")]}" and stack:
            start = stack.pop()
            if _PAIRS[text[start]] == token[0]:
                closing[start] = token.start()
    return closing


def comparable(text: str) -> str:
    """Return the spelling-free form of a rewritten answer: equal forms mean equal answers."""
    for pattern, replacement in _SPELLINGS:
        text = pattern.sub(replacement, text)
    return text.casefold() if text.isalpha() else text
