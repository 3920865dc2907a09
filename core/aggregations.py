"""Aggregations: how the tokens of a whole optimizer step are averaged.

Each returns one factor a row, from counts over all rows of all ranks, so that splitting the step into
micro-batches can't change it. Rows that a term does not select count only where said; selected rows without
a token count as rows.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.checks import check_fields, check_range
from core.groups import group_sum
from core.protocols import Aggregation, RowWeight, TokenChoice
from core.types import TokenBatch


def token_weight(
    rows: RowWeight, tokens: TokenChoice, aggregation: Aggregation, step: TokenBatch
) -> Float[Tensor, "batch token"]:
    """Return row weight × normaliser at the tokens that a term trains on, 0 elsewhere."""
    row_weight = rows(step)
    counted = dataclasses.replace(step, response_mask=step.response_mask & tokens(step))
    factor = row_weight * aggregation(row_weight != 0, counted)
    return torch.where(counted.response_mask, factor[:, None], 0.0)


def _share(
    selected: Bool[Tensor, " batch"], denominator: Tensor, step: TokenBatch
) -> Float[Tensor, " batch"]:
    """Return 1/denominator at selected rows, 0 elsewhere and where the denominator is 0."""
    dtype = step.reward.dtype
    factor = torch.where(denominator > 0, 1.0 / denominator.to(dtype).clamp(min=1), 0.0)
    return torch.where(selected, factor, 0.0).to(dtype)


@dataclass(frozen=True)
class TokenMean:
    """Mean over all tokens of the selected rows:   1 / Σⱼ|yⱼ|.

    See DAPO, Yu et al., 2025 (https://arxiv.org/abs/2503.14476), eq. 12.
    """

    latex: ClassVar[str] = r"\sum_{i,t}/\sum_j|y_j|"

    def __call__(self, selected: Bool[Tensor, " batch"], step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return each row's factor."""
        tokens = step.response_mask.sum(dim=1)
        return _share(selected, torch.where(selected, tokens, 0).sum(), step)


@dataclass(frozen=True)
class SequenceMean:
    """Mean over the selected rows of each row's token mean:   1 / (rows · |yᵢ|).

    See DeepSeekMath, Shao et al., 2024 (https://arxiv.org/abs/2402.03300), eq. 3.
    """

    latex: ClassVar[str] = r"\tfrac{1}{n}\sum_i\tfrac{1}{|y_i|}\sum_t"

    def __call__(self, selected: Bool[Tensor, " batch"], step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return each row's factor."""
        return _share(selected, selected.sum() * step.response_mask.sum(dim=1), step)


@dataclass(frozen=True)
class FixedLengthSum:
    """Sum over all tokens of the selected rows, over a constant:   1 / length.

    What the released code of LUFFY and HPT does with its policy loss, `length` being the longest
    response allowed. The step's gradient then grows with the number of rows.
    """

    length: int

    latex: ClassVar[str] = r"\tfrac{1}{%(length)s}\sum_{i,t}"

    def __post_init__(self) -> None:
        check_range(self, "length", 1.0)

    def __call__(self, selected: Bool[Tensor, " batch"], step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return each row's factor."""
        return _share(selected, torch.tensor(self.length), step)


@dataclass(frozen=True)
class FixedLengthMean:
    """Mean over the selected rows of each row's token sum over a constant:   1 / (rows · length).

    See Understanding R1-Zero-Like Training, Liu et al., 2025 (https://arxiv.org/abs/2503.20783),
    listing 1.
    """

    length: int

    latex: ClassVar[str] = r"\tfrac{1}{n}\sum_i\tfrac{1}{%(length)s}\sum_t"

    def __post_init__(self) -> None:
        check_range(self, "length", 1.0)

    def __call__(self, selected: Bool[Tensor, " batch"], step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return each row's factor."""
        return _share(selected, selected.sum() * self.length, step)


@dataclass(frozen=True)
class QuestionMean:
    """Mean over all questions of the step of the mean over the question's selected rows.

    1 / (questions · rows of the question), times 1/|yᵢ| where `within_row` is "mean". Questions without
    selected rows count too: a per-question objective is averaged over every question asked.

    See Lv et al., 2025 (https://arxiv.org/abs/2509.04419), eq. 11 ("sum") and 12 ("mean").
    """

    within_row: Literal["sum", "mean"] = "mean"

    latex: ClassVar[str] = r"\mathbb{E}_q\,\tfrac{1}{n_q}\sum_i%(within_row)s_t"

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, selected: Bool[Tensor, " batch"], step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return each row's factor."""
        questions = torch.unique(step.group).numel()
        rows = group_sum(selected.to(step.reward.dtype), step.group)
        length = step.response_mask.sum(dim=1) if self.within_row == "mean" else 1
        return _share(selected, questions * rows * length, step)
