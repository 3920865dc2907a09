import io
import json
import math

import numpy as np
import pytest
from PIL import Image

from evaluation.config import EvalConfig
from evaluation.records import Evaluation, SuiteInfo, write_evaluation
from studies.reporting import curves
from studies.reporting.curves import POINTS, caption, smoothing_window, stride
from studies.reporting.figures import COLORS, DASHES, INK, looks, write_charts
from studies.reporting.parts import Chart, Context
from studies.reporting.records import read_records
from studies.reporting.report import suite_sides
from studies.reporting.sections.dynamics import part
from tests.evaluation.rows import row
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


def chart_of(folder) -> Chart:
    records = read_records(folder)
    (chart,) = part(Context(records, suite_sides(records))).charts
    return chart


class Shown:
    """A panel of the specification, with its data."""

    def __init__(self, panel, datasets):
        self.panel, self.datasets = panel, datasets
        self.layers = {self.mark(layer): layer for layer in panel["layer"]}

    @staticmethod
    def mark(layer):
        return layer["mark"] if isinstance(layer["mark"], str) else layer["mark"]["type"]

    def rows(self, mark="line"):
        return self.datasets[self.layers[mark]["data"]["name"]]

    def line(self, arm):
        return [(each["step"], each["mean"]) for each in self.rows() if each["arm"] == arm]

    @property
    def arms(self):
        return list(dict.fromkeys(each["arm"] for each in self.rows()))

    @property
    def remark(self):
        return " ".join(self.panel["title"]["subtitle"])

    def looks(self):
        encoding = self.layers["line"]["encoding"]
        scales = encoding["color"]["scale"], encoding["strokeDash"]["scale"]
        colors, dashes = (dict(zip(scale["domain"], scale["range"], strict=True)) for scale in scales)
        return {arm: (colors[arm], dashes[arm]) for arm in colors}


def panels(chart):
    shown = [Shown(panel, chart.spec["datasets"]) for panel in chart.spec["concat"]]
    return {each.panel["title"]["text"]: each for each in shown}


@pytest.fixture
def drawn(planted):
    """Return the panels by heading."""
    return panels(chart_of(planted.folder))


def test_the_picture_is_wide_enough_and_equal_for_equal_records(planted):
    (path,) = write_charts([chart_of(planted.folder)], planted.folder, "A toy study")
    assert path == planted.folder / "dynamics.png"
    first = path.read_bytes()
    picture = Image.open(io.BytesIO(first))
    assert 1400 <= picture.width <= 2200
    assert write_charts([chart_of(planted.folder)], planted.folder, "A toy study")[0].read_bytes() == first


def test_a_picture_is_dark_ink_on_white_and_says_what_it_is_of(planted):
    chart = chart_of(planted.folder)
    picture = [
        Image.open(write_charts([chart], planted.folder, title)[0]).convert("RGB")
        for title in ("A toy study", "Another one")
    ]
    assert picture[0].getpixel((2, 2)) == (255, 255, 255)
    heading = [np.asarray(each.crop((0, 0, 1200, 70))) for each in picture]
    assert heading[0].min() < 60
    assert not np.array_equal(*heading)


def test_a_line_is_the_mean_of_the_seeds_and_the_band_their_range(drawn):
    panel = drawn["Solve rate in training"]
    assert panel.arms == ["grpo"]
    assert [step for step, _ in panel.line("grpo")] == [1, 2, 3, 4]
    assert [mean for _, mean in panel.line("grpo")] == pytest.approx([30] * 4)
    assert {(each["low"], each["high"]) for each in panel.rows("area")} == {(10, 60)}
    area = panel.layers["area"]["encoding"]
    assert (area["y"]["field"], area["y2"]["field"]) == ("low", "high")
    assert panel.layers["line"]["encoding"]["y"]["field"] == "mean"


def test_the_pointer_brings_up_arm_step_mean_and_range(planted):
    chart = chart_of(planted.folder)
    panel = panels(chart)["Solve rate in training"]
    tooltip = panel.layers["rule"]["encoding"]["tooltip"]
    assert [each["title"] for each in tooltip] == ["step", "grpo"]
    assert panel.rows("rule")[0] == {"step": 1, tooltip[1]["field"]: "30  (10 to 60)"}
    near = next(each for each in chart.spec["params"] if panel.layers["rule"]["name"] in each["views"])
    assert near["select"]["nearest"]
    assert near["select"]["fields"] == ["step"]


def test_an_arm_without_a_metric_is_named_instead_of_drawn(drawn):
    assert drawn["Solve rate in training"].remark == "not measured: sft"
    assert drawn["Entropy of the policy"].arms == ["sft", "grpo"]
    assert drawn["Entropy of the policy"].remark == ""
    assert drawn["Response length"].remark == "of demonstrations while nothing is sampled: sft"


def test_every_panel_has_its_unit_and_steps(drawn):
    assert list(drawn)[:4] == [
        "Solve rate in training",
        "Offline share",
        "Entropy of the policy",
        "Response length",
    ]
    units = [each.layers["line"]["encoding"]["y"]["title"] for each in drawn.values()]
    assert [any(word in unit for word in ("%", "nats", "tokens")) for unit in units] == [True] * 4
    assert {each.layers["line"]["encoding"]["x"]["title"] for each in drawn.values()} == {"step"}


def test_a_share_begins_at_zero_and_solve_rates_end_at_a_hundred(drawn):
    solved = drawn["Solve rate in training"].layers["line"]["encoding"]["y"]["scale"]
    assert solved["domain"] == [0, 100]
    entropy = drawn["Entropy of the policy"].layers["line"]["encoding"]["y"]["scale"]
    assert entropy["domain"] == [0.25, 1]


def test_an_arm_keeps_its_colour_in_every_panel(drawn):
    found = [panel.looks() for panel in drawn.values()]
    assert found == [found[0]] * len(found)
    assert len({color for color, _ in found[0].values()}) == 2
    assert found[0]["sft"] == (COLORS[0], list(DASHES[0]))
    assert found[0]["grpo"] == (COLORS[1], list(DASHES[0]))


def test_an_arm_keeps_its_colour_whichever_others_are_finished(planted):
    for seed in (0, 1, 2):
        planted.write_status("sft", seed, "running", None)
    panel = panels(chart_of(planted.folder))["Entropy of the policy"]
    assert panel.looks() == {"grpo": (COLORS[1], list(DASHES[0]))}


def test_more_arms_than_colours_are_told_apart_by_dashes():
    names = [f"arm {number}" for number in range(2 * len(COLORS))]
    found = looks(names)
    assert len(set(found.values())) == len(names)
    assert found[names[0]].color == found[names[len(COLORS)]].color
    assert INK in COLORS


def test_text_takes_the_ink_of_the_page(planted):
    config = chart_of(planted.folder).spec["config"]
    assert config["background"] == "transparent"
    inks = [config["axis"]["labelColor"], config["axis"]["titleColor"], config["legend"]["labelColor"]]
    inks += [config["title"]["color"], config["title"]["subtitleColor"]]
    assert inks == [INK] * 5


def test_the_caption_says_what_is_not_drawn(planted):
    planted.write_status("sft", 0, "failed", "x")
    for seed in (0, 1, 2):
        planted.write_status("grpo", seed, "running", None)
    told = caption(read_records(planted.folder), 5)
    assert "Line: mean over seeds, each smoothed by a centred moving mean over 5 steps." in told
    assert "5 of 9 runs finished; the others are not drawn." in told
    assert "Not trained: base." in told
    assert "No finished run: grpo." in told
    assert chart_of(planted.folder).notes == [caption(read_records(planted.folder), 1)]


def test_the_legend_says_how_many_seeds_an_arm_has(planted):
    planted.write_status("sft", 0, "failed", "x")
    panel = panels(chart_of(planted.folder))["Entropy of the policy"]
    told = panel.layers["line"]["encoding"]["color"]["legend"]["labelExpr"]
    plain = told.encode().decode("unicode_escape")
    assert plain.startswith("['sft (2 seeds)', 'grpo (3 seeds)'][indexof(['sft', 'grpo']")


def test_smoothing_is_odd_and_none_for_short_runs(planted):
    frame = read_records(planted.folder).metrics
    assert smoothing_window(frame) == 1
    assert "smoothed" not in caption(read_records(planted.folder), 1)
    assert smoothing_window(frame.assign(step=80)) == 5
    assert smoothing_window(frame.assign(step=500)) == 25


def test_an_offline_share_that_is_so_by_construction_is_named_and_not_drawn(tmp_path):
    def shares(arm, seed, step):
        return {"data/offline_row_share": {"sft": 1.0, "grpo": 0.0, "hpt": 0.1 * step}[arm]}

    study = Planted(tmp_path / "toy", ("base", "sft", "grpo", "hpt"), metrics=shares, steps=4)
    study.write()
    panel = panels(chart_of(study.folder))["Offline share"]
    assert panel.arms == ["hpt"]
    assert [mean for _, mean in panel.line("hpt")] == pytest.approx([10, 20, 30, 40])
    assert panel.remark == "throughout: sft 100 %, grpo 0 %"


def test_an_offline_share_that_all_arms_have_by_construction_is_said_once(tmp_path):
    study = Planted(
        tmp_path / "toy", ("grpo", "rloo"), metrics=lambda *_: {"data/offline_row_share": 0.0}, steps=4
    )
    study.write()
    assert panels(chart_of(study.folder))["Offline share"].remark == "throughout: every arm 0 %"


def test_an_empty_panel_has_the_steps_of_the_others(drawn):
    empty = drawn["Offline share"]
    assert empty.rows() == []
    scales = [panel.layers["line"]["encoding"]["x"]["scale"]["domain"] for panel in drawn.values()]
    assert scales == [[1, 4]] * 4


def test_smoothing_is_a_centred_mean(planted):
    arm = curves.traced(read_records(planted.folder))[0]
    curve = arm.curves("rollout/entropy", 3)[0]
    expected = [(1 + 1 / 2) / 2, (1 + 1 / 2 + 1 / 3) / 3, (1 / 2 + 1 / 3 + 1 / 4) / 3, (1 / 3 + 1 / 4) / 2]
    assert list(curve) == pytest.approx(expected)
    assert not any(map(math.isnan, curve))


def test_smoothing_does_not_reach_into_steps_without_the_metric(tmp_path):
    def metrics(arm, seed, step):
        return {"rollout/solve_rate": None if step < 3 else 0.5}

    planted = Planted(tmp_path / "toy", ("sft_then_grpo",), baseline=None, metrics=metrics, steps=5)
    planted.write()
    curve = curves.traced(read_records(planted.folder))[0].curves("rollout/solve_rate", 3)[0]
    assert list(curve.dropna().index) == [3, 4, 5]
    line = panels(chart_of(planted.folder))["Solve rate in training"].line("sft_then_grpo")
    assert line == [(3, 50), (4, 50), (5, 50)]


def test_a_step_without_the_metric_breaks_the_line(tmp_path):
    def metrics(arm, seed, step):
        return {"rollout/entropy": None if step == 3 else 0.5}

    planted = Planted(tmp_path / "toy", ("hpt",), baseline=None, metrics=metrics, steps=5)
    planted.write()
    panel = panels(chart_of(planted.folder))["Entropy of the policy"]
    assert panel.line("hpt") == [(1, 0.5), (2, 0.5), (3, None), (4, 0.5), (5, 0.5)]
    assert panel.rows("rule")[2]["a0"] == "–"


def test_gradient_norms_are_drawn_where_a_run_has_them(tmp_path, drawn):
    assert "Gradient norm" not in drawn
    norms = Planted(tmp_path / "n", ("grpo",), (0,), metrics=lambda *of: {"train/gradient_norm": of[2] / 2})
    norms.baseline = None
    norms.write()
    assert panels(chart_of(norms.folder))["Gradient norm"].line("grpo") == [(1, 0.5), (2, 1), (3, 1.5)]


def test_long_runs_are_thinned_to_what_can_be_seen_and_the_caption_says_so(tmp_path):
    planted = Planted(tmp_path / "toy", ("grpo",), (0,), steps=2 * POINTS + 1, baseline=None)
    planted.write()
    chart = chart_of(planted.folder)
    steps = [step for step, _ in panels(chart)["Entropy of the policy"].line("grpo")]
    assert stride(read_records(planted.folder).metrics) == 3
    assert (steps[0], steps[-1]) == (1, 2 * POINTS + 1)
    assert len(steps) <= POINTS + 1
    assert "A point every 3 steps." in chart.notes[0]


def validate(planted, arm, seed, step, outcomes):
    """Plant a validation of two suites; `outcomes` are those of the questions of each."""
    directory = planted.run(arm, seed) / "validation" / f"step-{step:06d}"
    directory.mkdir(parents=True)
    rows = [
        row(suite, f"{suite}-{i}", 0, each) for suite in ("sub", "add") for i, each in enumerate(outcomes)
    ]
    suites = {suite: SuiteInfo("1", len(outcomes), 1, None, "f" * 64) for suite in ("sub", "add")}
    protocol = EvalConfig(suites=("sub", "add"), samples=1)
    write_evaluation(directory, Evaluation(seed, protocol, suites), rows)


def test_every_validated_suite_has_a_panel_of_its_scores(planted):
    for seed, first in ((0, "correct"), (1, "wrong")):
        validate(planted, "grpo", seed, 2, (first, "wrong"))
        validate(planted, "grpo", seed, 4, (first, "correct"))
    chart = chart_of(planted.folder)
    found = panels(chart)
    assert list(found)[-2:] == ["Validation: add", "Validation: sub"]
    panel = found["Validation: add"]
    assert panel.line("grpo") == [(2, 25), (4, 75)]
    assert [(each["low"], each["high"]) for each in panel.rows()] == [(0, 50), (50, 100)]
    assert panel.remark == "2 questions; not validated: sft"
    assert panel.looks() == found["Response length"].looks()


def test_a_study_in_which_no_arm_trains_has_no_chart_of_training(tmp_path):
    planted = Planted(tmp_path / "none", ("base",), seeds=(0,))
    planted.write()
    records = read_records(planted.folder)
    assert part(Context(records, suite_sides(records))).charts == ()


@pytest.mark.parametrize("state", ["finished", "running"])
def test_a_study_with_strange_names_or_without_a_finished_run_is_drawn(tmp_path, state):
    odd = ("base", "a $x_1^$ 100% {", "_hidden", 'it\'s "quoted" \\ [0].b', "</script>\u2028<b>")
    planted = Planted(tmp_path / "odd", odd, seeds=(0,))
    planted.write()
    for arm in odd[1:]:
        planted.write_status(arm, 0, state, None)
    chart = chart_of(planted.folder)
    json.dumps(chart.spec, allow_nan=False)
    (path,) = write_charts([chart], planted.folder, "odd")
    assert path.stat().st_size > 10_000
    if state == "finished":
        assert panels(chart)["Entropy of the policy"].arms == list(odd[1:])
    else:
        assert "No finished run: a $x_1^$ 100% {, _hidden" in chart.notes[0]
