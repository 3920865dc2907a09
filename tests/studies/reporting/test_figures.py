import math

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from studies.reporting import figures
from studies.reporting.figures import caption, smoothing_window, write_dynamics
from studies.reporting.records import read_records
from tests.studies.synthetic import Planted

ARMS = ("base", "sft", "grpo")


def metrics(arm, seed, step):
    """Solve rates of seeds 0, 1, 2: .1, .2, .6; SFT samples nothing."""
    rate = None if arm == "sft" else (0.1, 0.2, 0.6)[seed]
    return {"rollout/solve_rate": rate, "rollout/entropy": 1 / step}


@pytest.fixture
def planted(tmp_path):
    study = Planted(tmp_path / "toy", ARMS, metrics=metrics, steps=4)
    study.write()
    return study


@pytest.fixture
def drawn(planted, monkeypatch):
    """Return the figure's axes by heading."""
    kept = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (kept.append(self), save(self, *a, **k)))
    write_dynamics(read_records(planted.folder))
    return {axes.get_title(loc="left"): axes for axes in kept[0].axes}


def texts(axes):
    return " ".join(text.get_text() for text in axes.texts)


def test_the_picture_is_wide_enough_and_equal_for_equal_records(planted):
    path = write_dynamics(read_records(planted.folder))
    assert path == planted.folder / "dynamics.png"
    first = path.read_bytes()
    assert b"matplotlib" not in first.lower()
    height, width, _ = matplotlib.image.imread(path).shape
    assert (width, height) == (1400, 980)
    assert write_dynamics(read_records(planted.folder)).read_bytes() == first


def test_a_line_is_the_mean_of_the_seeds_and_the_band_their_range(drawn):
    axes = drawn["Solve rate in training"]
    (line,) = axes.lines
    np.testing.assert_allclose(line.get_ydata(), [30.0] * 4)
    assert list(line.get_xdata()) == [1, 2, 3, 4]
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((10, 60))


def test_an_arm_without_a_metric_is_named_instead_of_drawn(drawn):
    assert texts(drawn["Solve rate in training"]) == "not measured: sft"
    assert len(drawn["Entropy of the policy"].lines) == 2
    assert texts(drawn["Entropy of the policy"]) == ""
    assert texts(drawn["Response length"]) == "of demonstrations while nothing is sampled: sft"


def test_every_panel_has_its_unit_and_steps(drawn):
    units = [axes.get_ylabel() for axes in drawn.values()]
    assert [any(word in unit for word in ("%", "nats", "tokens")) for unit in units] == [True] * 4
    assert {axes.get_xlabel() for axes in drawn.values()} == {"step"}


def test_an_arm_keeps_its_colour_in_every_panel(drawn):
    entropy, length = drawn["Entropy of the policy"], drawn["Response length"]
    colors = [line.get_color() for line in entropy.lines]
    assert len(set(colors)) == 2
    assert [line.get_color() for line in length.lines] == colors
    assert drawn["Solve rate in training"].lines[0].get_color() == colors[1]


def test_the_caption_says_what_is_not_drawn(planted):
    planted.write_status("sft", 0, "failed", "x")
    for seed in (0, 1, 2):
        planted.write_status("grpo", seed, "running", None)
    told = caption(read_records(planted.folder), 5)
    assert "Line: mean over seeds, each smoothed by a centred moving mean over 5 steps." in told
    assert "5 of 9 runs finished; the others are not drawn." in told
    assert "Not trained: base." in told
    assert "No finished run: grpo." in told


def test_smoothing_is_odd_and_none_for_short_runs(planted):
    frame = read_records(planted.folder).metrics
    assert smoothing_window(frame) == 1
    assert "smoothed" not in caption(read_records(planted.folder), 1)
    assert smoothing_window(frame.assign(step=80)) == 5
    assert smoothing_window(frame.assign(step=500)) == 25


def test_an_offline_share_that_is_so_by_construction_is_named_and_not_drawn(tmp_path, monkeypatch):
    def shares(arm, seed, step):
        return {"data/offline_row_share": {"sft": 1.0, "grpo": 0.0, "hpt": 0.1 * step}[arm]}

    study = Planted(tmp_path / "toy", ("base", "sft", "grpo", "hpt"), metrics=shares, steps=4)
    study.write()
    kept = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: kept.append(self))
    write_dynamics(read_records(study.folder))
    (axes,) = (axes for axes in kept[0].axes if axes.get_title(loc="left") == "Offline share")
    (line,) = axes.lines
    assert max(line.get_ydata()) <= 40
    assert "throughout: sft 100 %, grpo 0 %" in texts(axes)


def test_smoothing_is_a_centred_mean(planted):
    arm = figures._arms(read_records(planted.folder))[0]
    curve = arm.curves("rollout/entropy", 3)[0]
    expected = [(1 + 1 / 2) / 2, (1 + 1 / 2 + 1 / 3) / 3, (1 / 2 + 1 / 3 + 1 / 4) / 3, (1 / 3 + 1 / 4) / 2]
    assert list(curve) == pytest.approx(expected)
    assert not any(map(math.isnan, curve))


def test_smoothing_does_not_reach_into_steps_without_the_metric(tmp_path):
    def metrics(arm, seed, step):
        return {"rollout/solve_rate": None if step < 3 else 0.5}

    planted = Planted(tmp_path / "toy", ("sft_then_grpo",), baseline=None, metrics=metrics, steps=5)
    planted.write()
    curve = figures._arms(read_records(planted.folder))[0].curves("rollout/solve_rate", 3)[0]
    assert list(curve.dropna().index) == [3, 4, 5]


def test_a_study_without_training_and_with_strange_names_is_drawn(tmp_path):
    for name, arms in (("none", ("base",)), ("odd", ("base", "a $x_1^$ 100% {", "_hidden"))):
        planted = Planted(tmp_path / name, arms, seeds=(0,))
        planted.write()
        assert write_dynamics(read_records(planted.folder)).stat().st_size > 10_000
