"""What the second grader compares by; runs in a worker only, without math-verify."""

import warnings
from functools import lru_cache
from typing import Any

from lm_eval.tasks.hendrycks_math.utils import is_equiv
from sympy import Expr, simplify
from sympy.parsing.latex import parse_latex

from evaluation.grading.outcomes import Verdict

warnings.simplefilter("ignore")  # sympy's own parser uses what sympy deprecates

# Two numbers agree to this share of the gold.
CLOSE = 1e-6


def grade(request: dict[str, Any], _: dict[str, Any]) -> Verdict:
    """Return the verdict on one answer against every accepted gold form."""
    answer = request["answer"]
    if any(is_equiv(answer, gold) for gold in request["golds"]):
        return Verdict("correct", None, "string")
    if any(_same(answer, gold) for gold in request["golds"]):
        return Verdict("correct", None, "sympy")
    return Verdict("wrong", None, "sympy" if _read(answer) is not None else "string")


def warm_up(settings: dict[str, Any]) -> None:
    """Load the grammar."""
    grade({"answer": r"\frac{1}{2} x", "golds": ["0.5 x"]}, settings)


@lru_cache(maxsize=4096)
def _read(text: str) -> Any:  # noqa: ANN401  sympy's own classes are not typed
    try:
        read = parse_latex(text, backend="lark")
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  the parser fails in many ways on what is no mathematics
        return None
    return read if isinstance(read, Expr) else None


def _same(answer: str, gold: str) -> bool:
    left, right = _read(answer), _read(gold)
    if left is None or right is None:
        return False
    if left.is_Integer and right.is_Integer:
        return bool(left == right)
    if left.is_number and right.is_number:
        gap, size = (abs(side.evalf()) for side in (left - right, right))
        return bool(gap <= CLOSE * size)
    return left.free_symbols == right.free_symbols and bool(simplify(left - right) == 0)
