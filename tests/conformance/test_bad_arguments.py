"""Hyperparameters that mean nothing are refused where they are given, by name and value."""

import re

import pytest

from algorithms import ALGORITHMS

NAN, INF = float("nan"), float("inf")
BAD = [
    ("reinforce", {"solved": NAN}, "solved=nan"),
    ("reinforce", {"failed": -INF}, "failed=-inf"),
    ("grpo", {"clip_low": -0.1}, "low=-0.1"),
    ("grpo", {"clip_low": 1.5}, "low=1.5"),
    ("grpo", {"clip_low": NAN}, "low=nan"),
    ("grpo", {"clip_high": -0.1}, "high=-0.1"),
    ("grpo", {"clip_high": NAN}, "high=nan"),
    ("dr_grpo", {"length": 0}, "length=0"),
    ("dr_grpo", {"length": -8}, "length=-8"),
    ("hpt", {"length": 0}, "length=0"),
    ("hpt", {"gate": NAN}, "threshold=nan"),
    ("hpt", {"sft_weight": -1.0}, "imitate=-1.0"),
    ("hpt", {"sft_weight": NAN}, "imitate=nan"),
    ("hpt", {"entropy_weight": NAN}, "weight=nan"),
    ("hpt", {"entropy_weight": INF}, "weight=inf"),
    ("hpt_equations", {"clip": 1.5}, "low=1.5"),
    ("hpt_equations", {"gate": NAN}, "threshold=nan"),
    ("sft_then_grpo", {"sft_share": 0.0}, "share=0.0"),
    ("sft_then_grpo", {"sft_share": 1.5}, "share=1.5"),
    ("sft_then_grpo", {"sft_share": NAN}, "share=nan"),
    ("sft_then_grpo", {"clip_high": -1.0}, "high=-1.0"),
]


@pytest.mark.parametrize(("name", "arguments", "named"), BAD)
def test_a_bad_hyperparameter_is_refused_by_name_and_value(name, arguments, named):
    with pytest.raises(ValueError, match=re.escape(named)):
        ALGORITHMS[name](**arguments)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_unknown_hyperparameter_is_refused(name):
    with pytest.raises(TypeError):
        ALGORITHMS[name](no_such_argument=1.0)
