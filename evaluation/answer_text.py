"""Find the answer in a response and rewrite it into the forms math-verify reads.

Each class of notation is one row of `REWRITES`; a new class is a new row.
"""

import re
import unicodedata

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"

_BOX_TOKENS = re.compile(r"\\{1,2}boxed\s*\{|\\.|[{}]", re.DOTALL)

_CHARACTERS = {
    "−": "-", "–": "-", "—": "-", "∞": r"\infty ", "π": r"\pi ", "×": r"\times ", "÷": r"\div ",
    "·": r"\cdot ", "⋅": r"\cdot ", "≤": r"\leq ", "≥": r"\geq ", "≠": r"\neq ", "±": r"\pm ",
    "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ", "°": r"^{\circ}", "⁄": "/",
    "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "θ": r"\theta ", "λ": r"\lambda ",
    "φ": r"\phi ", "ω": r"\omega ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}",
    "\u200b": "", "\u200c": "", "\u200d": "", "\u2060": "", "\ufeff": "",
}  # fmt: skip
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿ", "0123456789+-()n")
_BARE = 200
_PROSE = re.compile(r"(?<!\\)\$|\\[\[(]|\\boxed|(?<![\\a-zA-Z])(?!sqrt)[A-Za-z]{3,}")
_NUMBER = r"\d+(?:\.\d+)?"

_FUNCTIONS = "arcsin|arccos|arctan|sin|cos|tan|cot|sec|csc|log|ln|exp|max|min"
_MACROS = "frac|dfrac|tfrac|sqrt|pi|left|right|cdot|times|text|infty|circ"

# (what it reads, pattern, replacement), applied in order.
REWRITES = tuple(
    (name, re.compile(pattern), replacement)
    for name, pattern, replacement in (
        ("escape damage: \\f", "\\\\?\f(?=rac)", r"\\f"),
        ("escape damage: \\b", "\b(?=inom|eta)", r"\\b"),
        ("escape damage: \\t", "\t(?=ext|imes|heta|an|frac)", r"\\t"),
        ("doubled backslash", rf"(?<!\\)\\\\(?=(?:{_MACROS})(?![a-zA-Z]))", r"\\"),
        ("math delimiters", r"(?<!\\)\$|(?<!\\)\\[\[\]()]", ""),
        ("bold", r"^\*\*([^*]+)\*\*$", r"\1"),
        ("leading relation", r"^\s*(?:=|≈|\\approx(?![a-z])|\\sim(?![a-z]))", ""),
        ("size commands", r"\\(?:displaystyle|textstyle|[bB]igg?[lr]?)(?![a-zA-Z])", ""),
        ("root sign", rf"√\s*(?:\(([^()]*)\)|({_NUMBER}|[a-z]))", r"\\sqrt{\1\2}"),
        ("spelt root", r"(?<![\\a-zA-Z])sqrt\(([^()]*)\)", r"\\sqrt{\1}"),
        ("spelt power", r"\*\*", "^"),
        ("exponent in parentheses", r"\^\(([^()]*)\)", r"^{\1}"),
        ("plus in an exponent", r"\^\{\+", "^{"),
        ("function as text", rf"\\(?:text|mathrm|operatorname)\{{({_FUNCTIONS})\}}", r"\\\1 "),
        ("bare denominator", r"(\\[dt]?frac\{[^{}]*\}) ?([a-zA-Z0-9])", r"\1{\2}"),
        ("spaced thousands", r"(?<=\d)(?:\\[,;: ]|,?\\!|\{,\}|~|(?<!,) )(?=\d{3}(?!\d))", ""),
        ("e-notation", rf"(?<![\w.\\])({_NUMBER})[eE]([+-]?\d+)(?!\w)", r"\1 \\times 10^{\2}"),
        ("ordinal", r"(\d)(?:st|nd|rd|th)\b", r"\1"),
        ("label", r"(?<![\\\w{])(?=[A-Za-z]*[a-z]{3})[A-Za-z]++(?: \d+)?:\s*", ""),
        ("set-builder", r"^\\?\{\s*([a-z])\s*(?:\||:|\\mid|\\colon)\s*([^|{}]*?)\\?\}$", r"\2"),
        ("one in brackets", r"^\[([^][,;]*)\]$", r"\1"),
    )
)
_SPELLINGS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\(?:left|right|[!,;: ]|quad|qquad)(?![a-zA-Z])|[\s~]|\.\s*$", ""),
        (r"\\[dt]frac", r"\\frac"),
        (r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|operatorname)\{([^{}]*)\}", r"\1"),
        (r"(?<!\\)\{(\w)\}", r"\1"),
        (r"^\(([A-Za-z])\)$", r"\1"),
    )
)


def final_part(response: str) -> str | None:
    """Return the text after the last `</think>`, or None when thinking never ended."""
    tail = response.rpartition(THINK_CLOSE)[2]
    return None if THINK_OPEN in tail else tail


def last_box(text: str) -> str | None:
    r"""Return the content of the last balanced `\boxed{...}`, or None when there is none.

    One linear pass; an escaped brace is text. A box inside a box belongs to the outer one.
    """
    content: str | None = None
    stack: list[int | None] = []
    for token in _BOX_TOKENS.finditer(text):
        if token[0] == "{":
            stack.append(None)
        elif token[0].endswith("{") and len(token[0]) > 2:
            stack.append(token.end())
        elif token[0] == "}" and stack:
            start = stack.pop()
            if start is not None:
                content = text[start : token.start()]
    return content


def is_bare(text: str) -> bool:
    """Return whether a text without a box is an answer and nothing else: no words, no formulas."""
    return len(text) <= _BARE and not _PROSE.search(text)


def rewrite(text: str) -> str:
    """Return `text` in plain LaTeX: unicode spelled out, then every row of `REWRITES`."""
    text = "".join(map(_plain_character, text))
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿ]+", lambda m: "^{" + m[0].translate(_SUPERSCRIPTS) + "}", text)
    text = unicodedata.normalize("NFKC", text)
    for _, pattern, replacement in REWRITES:
        text = pattern.sub(replacement, text)
    return text.strip()


def _plain_character(character: str) -> str:
    if character in _CHARACTERS:
        return _CHARACTERS[character]
    if unicodedata.category(character) == "Nd":
        return str(unicodedata.digit(character))
    if unicodedata.decomposition(character).startswith("<fraction>"):
        over, under = unicodedata.normalize("NFKC", character).split("⁄")
        return rf"\frac{{{over}}}{{{under}}}"
    return character


def comparable(text: str) -> str:
    """Return the spelling-free form of a rewritten answer: equal forms mean equal answers."""
    for pattern, replacement in _SPELLINGS:
        text = pattern.sub(replacement, text)
    return text.casefold() if text.isalpha() else text


def integer(form: str) -> str | None:
    """Return the digits of a comparable form that is a plain integer, else None."""
    match = re.fullmatch(r"([+-]?)0*(\d+)", form)
    return match and ("-" if match[1] == "-" and match[2] != "0" else "") + match[2]
