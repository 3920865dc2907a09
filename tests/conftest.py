"""Fixtures shared by the suites of the estimator and of the algorithms."""

import pytest

from tests.worlds import build_world


@pytest.fixture
def world():
    """Return the step that reaches every branch, in float64."""
    return build_world()
