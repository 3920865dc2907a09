"""Effects of two-level factors on runs' scores, by least squares with seeds as blocks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import linalg, stats

from evaluation.statistics.scores import Array, holm

_NOTHING = 1e-9


class Factor(NamedTuple):
    """What arms differ in: its place in the algorithm's record, and its levels, the reference first."""

    name: str
    levels: tuple[str, ...]


@dataclass(frozen=True)
class Design:
    """Arms by the levels of their factors.

    Args:
        factors: In the order of the records.
        codes: A row for each arm, a column for each factor: −1 at its reference level, +1 at the other.
    """

    factors: tuple[Factor, ...]
    codes: pd.DataFrame

    @property
    def terms(self) -> list[tuple[str, ...]]:
        """Main effects, then interactions of two factors."""
        names = [factor.name for factor in self.factors]
        return [*((name,) for name in names), *itertools.combinations(names, 2)]

    def column(self, term: Sequence[str]) -> pd.Series:
        """Return the product of a term's codes, by arm."""
        return self.codes[list(term)].prod(axis=1)


def design_of(runs: Mapping[str, Mapping[str, Any]], reference: str) -> Design:
    """Return the factors that arms' recorded algorithms differ in, and each arm's levels.

    Args:
        runs: The arms' records.
        reference: The arm whose levels effects are taken against.

    Raises:
        ValueError: Something that arms differ in has more than two levels.
    """
    held = {arm: _settings(run["algorithm"]) for arm, run in runs.items()}
    places = list(dict.fromkeys(place for settings in held.values() for place in settings))
    factors, codes = [], {}
    for place in places:
        found = {arm: settings.get(place, "as composed") for arm, settings in held.items()}
        levels = tuple(dict.fromkeys([found[reference], *found.values()]))
        if len(levels) < 2:
            continue
        if len(levels) > 2:
            raise ValueError(f"{place} has {len(levels)} levels: {', '.join(levels)}; effects are of two")
        factors.append(Factor(_short(place, places), levels))
        codes[factors[-1].name] = {arm: -1.0 if level == levels[0] else 1.0 for arm, level in found.items()}
    return Design(tuple(factors), pd.DataFrame(codes, index=list(runs)))


def aliases(design: Design) -> dict[tuple[str, ...], list[str]]:
    """Return for each term the products of other factors that these arms cannot tell from it, signed."""
    names = [factor.name for factor in design.factors]
    products = [term for size in range(len(names) + 1) for term in itertools.combinations(names, size)]
    found: dict[tuple[str, ...], list[str]] = {}
    for term in design.terms:
        same = _same(design, term, products)
        if same:
            found[term] = same
    return found


def _same(design: Design, term: tuple[str, ...], products: Sequence[tuple[str, ...]]) -> list[str]:
    own, same = design.column(term), []
    for other in products:
        sign = float((design.column(other) * own).mean())
        if other != term and abs(sign) == 1.0:
            same.append(f"{'−' if sign < 0 else ''}{' × '.join(other) or 'mean'}")
    return same


def fit(design: Design, scores: pd.DataFrame) -> pd.DataFrame:
    """Return the effect of each term on runs' scores.

        y = seed + Σ_j β_j x_j + Σ_{j<k} β_jk x_j x_k,   effect = 2 β

    with x = ±1, so a main effect is the mean at the other level less that at the reference, and an
    interaction half of what one factor's effect changes by with the other's level. Errors and degrees of
    freedom are `_error`'s. Columns: term, effect, se, degrees, p, p_holm (over the terms), estimable.

    See Statistics for Experimenters, Box, Hunter and Hunter, 2005, ch. 5 and 6.

    Args:
        design: The arms.
        scores: A row for each finished run: arm, seed, score, and `same`, which is equal in runs that are one
            and the same: the same algorithm, with the same seed, under two names.
    """
    terms = design.terms
    x = np.column_stack([design.column(term).loc[scores["arm"]].to_numpy() for term in terms])
    whole = np.hstack([x, pd.get_dummies(scores["seed"]).to_numpy(dtype=np.float64)])
    estimable = _estimable(whole)
    solution = linalg.pinv(whole)
    y = scores["score"].to_numpy()
    maker = np.eye(len(y)) - whole @ solution
    same = pd.get_dummies(scores["same"]).to_numpy(dtype=np.float64)
    rows = []
    for index, term in enumerate(terms):
        row: dict[str, Any] = {"term": term, "effect": math.nan, "se": math.nan, "degrees": math.nan}
        row |= {"p": math.nan, "estimable": bool(estimable[index])}
        if estimable[index]:
            error, degrees = _error(2 * solution[index], maker, same, y)
            row |= {"effect": float(2 * solution[index] @ y), "se": error, "degrees": degrees}
            if error > _NOTHING:
                row["p"] = float(2 * stats.t.sf(abs(row["effect"]) / error, degrees))
        rows.append(row)
    table = pd.DataFrame(rows)
    return table.assign(p_holm=holm(list(table["p"])))


def _error(contrast: Array, maker: Array, same: Array, y: Array) -> tuple[float, float]:
    """Return the standard error of contrast · y and its degrees of freedom; NaN where nothing is left over.

        V = k Σ_c (Σ_{i in c} a_i e_i)²,   e = M y,   c: runs that are the same one

    with k such that V is without bias where all runs spread alike, and degrees of freedom (tr G)²/tr G² of
    the quadratic form that V then is. Where no two runs are the same and none is missing, this is the pooled
    error with its n − p degrees; otherwise it holds though arms spread unequally.

    See Bias Reduction in Standard Errors for Linear Regression with Multi-Stage Samples, Bell and McCaffrey,
    2002, of which this corrects the sum in place of each cluster.

    Args:
        contrast: a, the weight of each run.
        maker: M, which makes residuals of scores.
        same: 1 where a run (row) is one of those that are the same (column).
        y: The scores.
    """
    by_cluster = maker @ (contrast[:, None] * same)
    form = same.T @ by_cluster
    expected = float((form**2).sum())
    if expected < _NOTHING**2:
        return math.nan, math.nan
    whole = float(((same.T @ contrast) ** 2).sum())
    variance = whole / expected * float(((by_cluster.T @ y) ** 2).sum())
    product = form.T @ form
    return math.sqrt(variance), expected**2 / float((product**2).sum())


def _settings(algorithm: Mapping[str, Any]) -> dict[str, str]:
    """Return all that an algorithm's record says, as text by dotted name."""
    arguments = {name: str(value) for name, value in algorithm["arguments"].items()}
    return {"algorithm": algorithm["function"], **arguments, **algorithm.get("parts", {})}


def _short(place: str, places: Sequence[str]) -> str:
    """Return the last word of a place, or all of it where two places end alike."""
    last = place.rpartition(".")[2]
    return place if sum(other.rpartition(".")[2] == last for other in places) > 1 else last


def _estimable(matrix: Array) -> np.ndarray:
    """Return for each column whether least squares have only one value for its coefficient."""
    free = linalg.null_space(matrix)
    estimable: np.ndarray = np.abs(free).max(axis=1, initial=0.0) < 1e-8
    return estimable
