"""Names of the released code's options, and what its training step selects from a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from studies.conforming.options import SWITCH, Inexpressible, Options

ACTOR_NAMES = {
    "off_policy_max_clip": "off_max_clip",
    "off_policy_min_clip": "off_min_clip",
    "off_policy_cliprange": "off_cliprange",
    "off_policy_normalize": "off_normalize",
}
"""What the actor's configuration calls an argument of the loss functions, by which it is read here."""


def by_argument(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by the names of the functions' arguments; raise Inexpressible for one given twice."""
    found: dict[str, Any] = {}
    for name, value in params.items():
        argument = ACTOR_NAMES.get(name, name)
        if argument in found:
            raise Inexpressible(f"cannot express option {name} beside {argument}: they are the same bound")
        found[argument] = value
    return found


def teacher_of(options: Options, inputs: Options) -> Tensor | None:
    """Return the teacher's probabilities, where the loss is given them.

    The training step selects them from its batch for one `offline_loss_type` alone, and if asked to; the
    loss functions, which know neither option, take what they are given.
    """
    given = inputs.take("target_probs", None)
    asked = options.choose("use_off_policy_probs", SWITCH, given is not None)
    if not asked or options.take("offline_loss_type", "off_policy") != "off_policy":
        return None
    return inputs.take("target_probs")
