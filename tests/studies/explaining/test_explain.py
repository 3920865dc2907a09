"""The command as a whole: what it prints, refuses and loads."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from algorithms import ALGORITHMS
from studies.explain import main
from studies.explaining.metrics import (
    ALWAYS,
    ASIDE,
    CRITIC,
    DYNAMIC,
    GREEDY,
    PREFIX,
    REFERENCE,
    ROLLOUTS,
    logged,
)

PROJECT = Path(__file__).parents[3]
HEAVY = {"transformers", "deepspeed", "lm_eval", "math_verify", "optuna", "pandas", "matplotlib", "datasets"}
OWN = '''"""Mine: GRPO with a knob that does nothing.

See My Paper, Me, 2030.
Differs from the paper: no knob.
"""

from core import Algorithm, BehaviorPolicy, ClipMask, GroupRelative, PolicyGradient, Rollouts, SequenceMean
from core import SideStep, Term, TokenLikelihood


def mine(*, low: float = 0.2, knob: float = 3.0) -> Algorithm:
    """Compose mine.

    Args:
        low: How low.
        knob: Turn it.
    """
    estimator = PolicyGradient(ClipMask(low), BehaviorPolicy(), GroupRelative(), TokenLikelihood())
    return Algorithm("mine", (Term("only", estimator, Rollouts(), SequenceMean()),))


def beside() -> Algorithm:
    """Compose mine with side steps that sample rollouts of their own."""
    return Algorithm("beside", mine().terms, aside=SideStep(mine()))


def blind(*, low: float = 0.2) -> Algorithm:
    """Compose something that says it needs no rows."""
    estimator = PolicyGradient(ClipMask(low), BehaviorPolicy(), Credit(), TokenLikelihood())
    return Algorithm("blind", (Term("only", estimator, All(), SequenceMean()),))


class Credit:
    def __call__(self, step):
        return step.response_mask.double()


class All:
    takes_demonstrations = True

    def __call__(self, step):
        return step.reward * 0 + 1
'''


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "mine.py"
    path.write_text(OWN)
    return path


def sections(text):
    """Return the lines below each heading of the last part."""
    found, heading = {}, ""
    for line in text.partition("Before any run")[2].splitlines():
        if re.match(r"  \S", line):
            heading = line.strip()
            found[heading] = ""
        elif heading:
            found[heading] += " " + line.strip()
    return {name: " ".join(said.split()) for name, said in found.items()}


def test_an_algorithm_of_ones_own_file_is_explained(own, capsys):
    assert main([f"{own}:mine", "--set", "mine.low=0.1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("mine: Mine: GRPO with a knob that does nothing.\n")
    assert max(map(len, out.splitlines())) <= 100
    for wanted in ("low   0.1  How low.", "My Paper, Me, 2030.", "Differs from the paper", "no knob.",
                   "ClipMask(low=0.1, high=0.2)", "1_stable = 0", "GroupRelative(members='rollouts'",
                   "1 / (rows · |yᵢ|)", "under these settings c_t = Â · 1 / (rows · |yᵢ|)",
                   "scale tiny: 8 rollouts of a question, 1 update per rollout batch"):  # fmt: skip
        assert wanted in out, wanted
    said = sections(out)
    assert "grpo: under these settings (one update per rollout batch)" in said["Same coefficients as"]
    assert "knob (3.0): has no effect" in said["Settings that change nothing"]
    assert "low (0.1), " not in said["Settings that change nothing"].partition("cannot act")[2]
    assert said["What gets a gradient, by how many of a question's rollouts are solved"] == (
        "0 of 8 solved: nothing; 1–7: rollouts; 8: nothing"
    )


def test_settings_and_parts_change_what_is_said(own, capsys):
    changes = ["train.updates_per_step=2", "train.rollout.samples=4", "mine.only.mask=KeepAll()"]
    assert main([f"{own}:mine", "--set", *changes]) == 0
    out = capsys.readouterr().out
    assert "4 rollouts of a question, 2 updates per rollout batch" in out
    assert "only.mask = KeepAll()" in out
    said = sections(out)
    assert said["Same coefficients as"] == "no other registered algorithm"
    assert "unbounded: grows with π_θ/π_behavior" in " ".join(said.values())
    assert "low (0.2), knob (3.0): has no effect" in said["Settings that change nothing"]
    groups = "0 of 4 solved: nothing; 1–3: rollouts; 4: nothing"
    assert f"{groups} that is so in the first update of a rollout batch" in said.values()


def test_terms_that_train_no_token_are_explained(capsys):
    assert main(["grpo", "--set", "grpo.reinforce.rows=Failed(Solved(Rollouts()))"]) == 0
    out = capsys.readouterr().out
    assert "c_t = 0: trains no token" in out
    said = sections(out)
    assert "no term on rollouts; left out: reinforce (trains no token)" in said.values()
    assert said["Largest |c_t / (w · Â)| of a token, at any staleness"] == "no term weighs a token's log-prob"
    assert "0–8 of 8 solved: nothing" in said.values()


def test_side_steps_that_sample_are_told_of_every_outcome(own, capsys):
    assert main([f"{own}:beside"]) == 0
    said = sections(capsys.readouterr().out)
    assert said["What gets a gradient, by how many of a question's rollouts are solved"].endswith(
        "side steps: 0 of 8 solved: nothing; 1–7: rollouts; 8: nothing"
    )


@pytest.mark.parametrize(("arguments", "words"), [
    (["chord_mu", "--set", "chord_mu.peak=2"], ["chord_mu cannot take a step", "μ=2.0"]),
    (["grpoo"], ["grpoo", "did you mean grpo"]),
    ([], ["name an algorithm"]),
    (["grpo", "--scale", "tinny"], ["tinny", "tiny"]),
    (["grpo", "--set", "grpo.clip=0.1"], ["clip"]),
    (["grpo", "--docs", "somewhere"], ["--docs"]),
    (["no/such/file.py:thing"], ["no/such/file.py"]),
])  # fmt: skip
def test_what_cannot_be_explained_is_refused_with_a_way_out(arguments, words, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert all(word in captured.err for word in words), captured.err


def test_an_algorithm_that_names_no_rows_is_refused(own, capsys):
    assert main([f"{own}:blind"]) == 2
    assert "needs neither rollouts nor demonstrations" in capsys.readouterr().err


def test_latex_prints_rows_alone(own, capsys):
    assert main([f"{own}:mine", "--latex"]) == 0
    comment, row = capsys.readouterr().out.splitlines()
    assert comment.startswith("% Algorithm & ")
    assert row.startswith("mine & ")


def test_a_path_is_taken_relative_to_where_one_is(own, monkeypatch, capsys):
    monkeypatch.chdir(own.parent)
    assert main(["mine.py:mine", "--latex"]) == 0
    assert "mine & " in capsys.readouterr().out


def test_explaining_loads_no_heavy_package_and_helping_not_even_torch():
    code = (
        "import sys; from studies.explain import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules\n"
        "main(['sft'])\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert not HEAVY & set(done.stdout.splitlines()[-1].split())


def test_the_same_is_printed_twice(capsys):
    main(["dft"])
    first = capsys.readouterr().out
    main(["dft"])
    assert capsys.readouterr().out == first


def test_metrics_follow_from_what_an_algorithm_needs():
    def names(algorithm):
        return set(logged(ALGORITHMS[algorithm]()))

    assert not set(ROLLOUTS) & names("sft")
    assert set(ROLLOUTS) | {"train/loss/reinforce"} <= names("grpo")
    assert set(CRITIC) <= names("ppo")
    assert set(REFERENCE) <= names("grpo_kl")
    assert not set(REFERENCE) & names("grpo")
    assert set(PREFIX) <= names("uft")
    assert set(GREEDY) <= names("remax")
    assert set(DYNAMIC) <= names("dapo")
    assert set(ASIDE) <= names("relift")


@pytest.mark.parametrize(
    "name", [*ALWAYS, *ROLLOUTS, *CRITIC, *REFERENCE, *PREFIX, *GREEDY, *DYNAMIC, *ASIDE]
)
def test_every_metric_is_one_that_training_records(name):
    sources = "".join(path.read_text() for path in (PROJECT / "training").glob("*.py"))
    assert f'"{name}"' in sources
