"""Sizes of the models that are measured, counted as a plan counts them."""

import pytest

from studies.planning.architecture import _count
from tests.studies.planning import measuring


@pytest.fixture(scope="session")
def counted():
    """Return a counter of models as `measuring` builds them."""

    def count(**options):
        return _count(measuring.build_model("fp32", **options).config, "a test")

    return count
