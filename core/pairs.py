"""What can be said of a composition when it is built: pairs of parts that are impossible.

Parts declare as class variables what rules them out, so that no part is known here by name:
`per_token` (advantages that differ within a row), `row_advantage` (likelihoods of one advantage a row),
`rollouts_only` (parts that read what only sampled rows have), `takes_demonstrations` (choices of rows),
`trains_value` (losses of the critic), `measures` (fields of a gate that hold the estimators it measures).
"""

from __future__ import annotations

from core.checks import misfit
from core.hooks import Stateful
from core.needs import held_by, needs_of, parts_of
from core.protocols import RowWeight


def declares(thing: object, flag: str) -> bool:
    """Return whether a part, or one that it wraps, declares a class variable as true."""
    return any(getattr(part, flag, False) for part in parts_of(thing))


def takes_demonstrations(rows: object) -> bool:
    """Return whether a choice of rows, or one it is made of, takes demonstrations; True if nobody says."""
    declared: bool | None = getattr(rows, "takes_demonstrations", None)
    if declared is not None:
        return declared
    inner = [part for part in held_by(rows) if not misfit(part, RowWeight)]
    return any(map(takes_demonstrations, inner)) if inner else True


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
    if sampled and takes_demonstrations(rows):
        raise ValueError(
            f"term {name!r}: {sampled[0]!r} reads what only rollouts have, and {rows!r} takes "
            "demonstrations; take Rollouts, or give the demonstrations a term of their own without that part"
        )


def check_measured(name: str, term: object) -> None:
    """Raise ValueError where the gate of a term measures other estimators than the term's."""
    estimator = getattr(term, "estimator", None)
    for part in parts_of(getattr(term, "rows", None)):
        measured = [getattr(part, field) for field in getattr(part, "measures", ())]
        if measured and estimator not in (None, *measured):
            told = " and ".join(map(repr, measured))
            raise ValueError(
                f"Algorithm {name!r}: term {getattr(term, 'name', None)!r} trains {estimator!r}, and its "
                f"{type(part).__name__} measures {told}; give the term and the gate the same estimator"
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
    for term in terms:
        check_measured(name, term)
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
