"""Fixtures shared by the suites of the estimator and of the algorithms."""

import pytest
import torch

from tests.worlds import build_world

torch.set_num_threads(1)  # the tensors here are tiny


@pytest.fixture
def world():
    """Return the step that reaches every branch, in float64."""
    return build_world()
