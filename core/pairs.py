"""What can be said of a composition when it is built: parts of the wrong kind, and impossible pairs.

Parts declare as class variables what rules them out, so that no part is known here by name:
`per_token` (advantages that differ within a row), `row_advantage` (likelihoods that need one advantage a row)
and `rollouts_only` (parts that read what only sampled rows have).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable

from core.hooks import Stateful
from core.needs import needs_of, parts_of
from core.protocols import (
    Advantage,
    Aggregation,
    Denominator,
    Likelihood,
    Mask,
    RowWeight,
    TokenChoice,
)

KINDS: dict[str, type] = {
    "mask": Mask,
    "denominator": Denominator,
    "advantage": Advantage,
    "likelihood": Likelihood,
    "rows": RowWeight,
    "aggregation": Aggregation,
    "tokens": TokenChoice,
}


def declares(thing: object, flag: str) -> bool:
    """Return whether a part, or one that it wraps, declares a class variable as true."""
    return any(getattr(part, flag, False) for part in parts_of(thing))


def check_kinds(owner: object, fields: Iterable[str]) -> None:
    """Raise TypeError where a field holds a part of another kind, told by its call's arguments and result."""
    for field in fields:
        part, kind = getattr(owner, field), KINDS[field]
        if seen := misfit(part, kind):
            wanted = inspect.signature(kind.__call__)
            raise TypeError(
                f"{type(owner).__name__}.{field}={part!r} {seen}; a {kind.__name__} is called with "
                f"({', '.join(list(wanted.parameters)[1:])}) and returns {wanted.return_annotation}"
            )


def misfit(part: object, kind: type) -> str:
    """Return what keeps a part from being of a kind; "" where nothing does."""
    wanted = inspect.signature(kind.__call__)
    found = inspect.signature(part) if callable(part) else None
    if found is None or not isinstance(part, kind):
        return "is not one" if found is None else "lacks " + ", ".join(_missing(part, kind))
    if len(found.parameters) != len(wanted.parameters) - 1:
        return f"is called with ({', '.join(found.parameters)})"
    # A file without postponed annotations holds the types themselves, whose names are what was written.
    returned = getattr(found.return_annotation, "__name__", found.return_annotation)
    if found.return_annotation is not found.empty and returned != wanted.return_annotation:
        return f"returns {returned}"
    return ""


def _missing(part: object, kind: type) -> list[str]:
    return [name for name in vars(kind) if not name.startswith("_") and not hasattr(part, name)]


def check_estimator(advantage: object, likelihood: object) -> None:
    """Raise ValueError for an advantage and a likelihood that cannot go together."""
    if declares(likelihood, "row_advantage") and declares(advantage, "per_token"):
        raise ValueError(
            f"{likelihood!r} has one ratio for the whole row, and {advantage!r} an advantage for each token; "
            "use TokenLikelihood, or SequenceTokenLikelihood to keep the row's ratio"
        )


def check_term(name: str, estimator: object, rows: object) -> None:
    """Raise ValueError for an estimator that cannot be computed on the rows it is given."""
    sampled = [part for part in parts_of(estimator) if getattr(part, "rollouts_only", False)]
    if sampled and getattr(rows, "takes_demonstrations", True):
        raise ValueError(
            f"term {name!r}: {sampled[0]!r} reads what only rollouts have, and {rows!r} takes "
            "demonstrations; take Rollouts, or give the demonstrations a term of their own without that part"
        )


def check_terms(name: str, terms: tuple[object, ...]) -> None:
    """Raise ValueError for terms that cannot make up one algorithm."""
    if not terms:
        raise ValueError(f"Algorithm {name!r} has no terms, so nothing would be trained")
    names = [getattr(term, "name", None) for term in terms]
    twice = sorted({str(each) for each in names if names.count(each) > 1})
    if twice:
        raise ValueError(f"Algorithm {name!r}: two terms are called {twice[0]!r}; give each its own name")
    for part in parts_of(terms):
        if isinstance(part, Stateful) and " at 0x" in repr(part):
            raise ValueError(
                f"Algorithm {name!r}: what {part!r} remembers is kept under that text, which is another in "
                "each process; give it parts instead of functions, such as Cosine for a schedule"
            )
    reads = any("value" in needs_of(term) for term in terms if not declares(term, "trains_value"))
    trains = any(declares(term, "trains_value") for term in terms)
    if reads and not trains:
        raise ValueError(
            f"Algorithm {name!r} reads the critic's values, but no term trains the critic; add a ValueLoss, "
            "or use an advantage without values, such as GroupRelative"
        )
    if trains and not reads:
        raise ValueError(
            f"Algorithm {name!r} trains a critic that no term reads; drop the ValueLoss, or use Gae as its "
            "advantage"
        )
