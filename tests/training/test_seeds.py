"""Seeds are fixed functions of what they are for."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from training.seeds import derive_seed

PARTS = st.lists(st.integers() | st.text("ab1"), min_size=1, max_size=4)


@given(parts=PARTS)
def test_a_seed_is_one_that_torch_takes(parts):
    assert 0 <= derive_seed(*parts) < 2**63


def test_a_seed_is_the_same_in_every_process():
    script = "from training.seeds import derive_seed; print(derive_seed(3, 'rollout', 7))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(found.stdout) == derive_seed(3, "rollout", 7)


def test_seeds_of_different_purposes_differ():
    seeds = {derive_seed(run, purpose, step) for run in range(5) for purpose in "ab" for step in range(50)}
    assert len(seeds) == 500


def test_parts_are_kept_apart():
    assert derive_seed(1, 23) != derive_seed(12, 3)
    assert derive_seed("a", "b") != derive_seed("ab")
    assert derive_seed(1, 2) != derive_seed(2, 1)
