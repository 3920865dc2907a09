import dataclasses
import itertools
import math
import zlib

import numpy as np
import pandas as pd
import pytest

from studies.record import AlgorithmRecord
from studies.reporting.factorial import aliases, design_of, fit
from studies.reporting.parts import Context
from studies.reporting.records import read_records
from studies.reporting.sections.effects import part
from tests.studies.synthetic import SIDES, Planted

LEVELS = {
    "mask": ("ClipMask(0.2)", "KeepAll()"),
    "denominator": ("BehaviorPolicy()", "CurrentPolicy()"),
    "advantage": ("GroupRelative()", "GroupRelative(normalize_std=False)"),
    "likelihood": ("TokenLikelihood()", "SequenceLikelihood()"),
    "aggregation": ("SequenceMean()", "TokenMean()"),
}
# The half in which evenly many parts are swapped.
HALF = [codes for codes in itertools.product((0, 1), repeat=5) if sum(codes) % 2 == 0]


def runs_of(combinations, names=tuple(LEVELS)):
    def parts(codes):
        return {f"reinforce.{name}": LEVELS[name][code] for name, code in zip(names, codes, strict=True)}

    return {
        "".join(map(str, codes)): {
            "algorithm": {"function": "grpo", "arguments": {"clip_low": 0.2}, "parts": parts(codes)}
        }
        for codes in combinations
    }


def signs(codes):
    return [1.0 if code else -1.0 for code in codes]


def planted_scores(runs, truth, seeds=3, spread=lambda arm: 0.0, draws=None):
    """Return runs' scores with planted effects: truth has half of each, by the numbers of the factors."""
    rows = []
    for arm in runs:
        x = signs(map(int, arm))
        mean = 0.5 + sum(value * math.prod(x[index] for index in term) for term, value in truth.items())
        for seed in range(seeds):
            noise = spread(arm) * draws.standard_normal() if draws is not None else 0.0
            rows.append({"arm": arm, "seed": seed, "score": mean + 0.03 * seed + noise})
    return pd.DataFrame(rows).assign(same=range(len(rows)))


def effects(design, scores):
    found = fit(design, scores)
    return dict(zip(found["term"], found.to_dict("records"), strict=True))


def test_planted_effects_and_interactions_come_out_of_a_half_fraction():
    runs = runs_of(HALF)
    design = design_of(runs, "00000")
    truth = {(0,): 0.02, (3,): -0.05, (0, 1): 0.03, (2, 4): -0.01}
    found = effects(
        design, planted_scores(runs, truth, spread=lambda arm: 1e-9, draws=np.random.default_rng(0))
    )
    expected = {("mask",): 0.04, ("likelihood",): -0.1, ("mask", "denominator"): 0.06}
    expected |= {("advantage", "aggregation"): -0.02}
    assert len(found) == 15
    for term, entry in found.items():
        assert entry["effect"] == pytest.approx(expected.get(term, 0.0), abs=1e-7), term
    # 48 runs less 15 effects and 3 seeds.
    assert found["mask",]["degrees"] == pytest.approx(30)


def test_a_main_effect_is_the_difference_of_means_and_its_error_the_pooled_one():
    runs = runs_of(HALF)
    design, draws = design_of(runs, "00000"), np.random.default_rng(1)
    scores = planted_scores(runs, {}, spread=lambda arm: 0.05 if arm < "1" else 0.01, draws=draws)
    entry = effects(design, scores)["advantage",]
    swapped = scores["arm"].str[2] == "1"
    means = scores[swapped]["score"].mean() - scores[~swapped]["score"].mean()
    assert entry["effect"] == pytest.approx(means)
    # By hand: residuals are what is left of each arm's scores without its mean and the seeds' means.
    left = scores["score"] - scores.groupby("arm")["score"].transform("mean")
    left = left - (scores.groupby("seed")["score"].transform("mean") - scores["score"].mean())
    assert entry["se"] == pytest.approx(2 * math.sqrt((left**2).sum() / 30 / 48))


def test_the_reference_is_the_level_that_effects_are_taken_against():
    runs = runs_of(HALF)
    scores = planted_scores(runs, {(0,): 0.02}, spread=lambda arm: 1e-6, draws=np.random.default_rng(2))
    assert effects(design_of(runs, "00000"), scores)["mask",]["effect"] == pytest.approx(0.04, abs=1e-5)
    assert effects(design_of(runs, "11000"), scores)["mask",]["effect"] == pytest.approx(-0.04, abs=1e-5)
    assert design_of(runs, "11000").factors[0].levels == ("KeepAll()", "ClipMask(0.2)")


def merged(arm):
    """Return what the algorithm is: under the other denominator mask and likelihood cannot act."""
    return arm if arm[1] == "0" else f"-1{arm[2]}-{arm[4]}"


def with_twins(scores):
    """Return the scores with those of equal algorithms and seeds made equal, and marked as the same run."""
    own = scores.assign(algorithm=scores["arm"].map(merged))
    runs = own.groupby(["algorithm", "seed"])
    return own.assign(score=runs["score"].transform("first"), same=runs.ngroup())


@pytest.mark.parametrize(
    "spread",
    [
        lambda arm: 0.03,
        lambda arm: 0.06 if arm[1] == "1" else 0.01,
        lambda arm: 0.01 if arm[1] == "1" else 0.06,
    ],
)
def test_intervals_hold_where_arms_are_the_same_algorithm_and_runs_therefore_the_same(spread):
    from scipy import stats

    runs = runs_of(HALF)
    design, draws = design_of(runs, "00000"), np.random.default_rng(6)
    held = dict.fromkeys(design.terms, 0)
    for _ in range(200):
        scores = with_twins(planted_scores(runs, {}, spread=spread, draws=draws))
        assert scores["same"].nunique() == 3 * (8 + 4)
        for term, entry in effects(design, scores).items():
            half = stats.t.ppf(0.975, entry["degrees"]) * entry["se"]
            held[term] += abs(entry["effect"]) <= half
    # In 600 studies each the 15 effects' intervals hold 92.5 to 99 %, where the spreads are 6 to 1; the least
    # of 15 counts of 200 may be 185 − 3 · 3.7.
    assert min(held.values()) >= 173
    assert 0.93 < np.mean(list(held.values())) / 200 < 0.985


def test_counting_the_same_run_twice_would_claim_too_much():
    runs = runs_of(HALF)
    design = design_of(runs, "00000")
    scores = planted_scores(runs, {}, spread=lambda arm: 0.03, draws=np.random.default_rng(7))
    twins = with_twins(scores)
    honest, naive = effects(design, twins), effects(design, twins.assign(same=range(len(twins))))
    assert honest["denominator",]["se"] > 1.1 * naive["denominator",]["se"]
    assert honest["denominator",]["degrees"] < naive["denominator",]["degrees"] == pytest.approx(30)


@pytest.mark.parametrize("spread", [lambda arm: 0.03, lambda arm: 0.06 if arm[0] == "1" else 0.01])
def test_intervals_hold_the_planted_effects_as_often_as_they_say(spread):
    from scipy import stats

    runs = runs_of(HALF)
    design, draws = design_of(runs, "00000"), np.random.default_rng(3)
    truth = {(0,): 0.02, (0, 1): 0.03}
    expected = {("mask",): 0.04, ("mask", "denominator"): 0.06}
    held, count = 0, 0
    for _ in range(120):
        for term, entry in effects(design, planted_scores(runs, truth, spread=spread, draws=draws)).items():
            half = stats.t.ppf(0.975, entry["degrees"]) * entry["se"]
            held += abs(entry["effect"] - expected.get(term, 0.0)) <= half
            count += 1
    # 1800 intervals; within a study they share their error, so they tell less than as many of their own.
    assert 0.925 < held / count < 0.975


def test_the_chance_of_any_false_effect_is_held():
    runs = runs_of(HALF)
    design, draws = design_of(runs, "00000"), np.random.default_rng(4)
    false = sum(
        any(entry["p_holm"] <= 0.05 for entry in found.values())
        for found in (
            effects(design, planted_scores(runs, {}, spread=lambda arm: 0.03, draws=draws))
            for _ in range(200)
        )
    )
    # 5 % of 200 is 10 ± 3.1.
    assert false <= 19


def test_a_half_fraction_of_resolution_five_aliases_effects_with_those_of_three_and_four_parts():
    found = aliases(design_of(runs_of(HALF), "00000"))
    assert len(found) == 15
    assert found["mask",] == ["−denominator × advantage × likelihood × aggregation"]
    assert found["mask", "advantage"] == ["−denominator × likelihood × aggregation"]


def test_a_full_factorial_has_no_aliases():
    full = runs_of(itertools.product((0, 1), repeat=5))
    assert aliases(design_of(full, "00000")) == {}


def test_what_arms_do_not_differ_in_is_no_factor_and_three_levels_are_refused():
    runs = runs_of([(0, 0, 0, 0, 0), (1, 0, 0, 0, 0)])
    assert [factor.name for factor in design_of(runs, "00000").factors] == ["mask"]
    runs["third"] = {"algorithm": {"function": "grpo", "arguments": {"clip_low": 0.2}, "parts": {}}}
    with pytest.raises(ValueError, match=r"reinforce.mask has 3 levels: ClipMask\(0.2\), KeepAll\(\), as"):
        design_of(runs, "00000")


def test_effects_that_the_runs_left_cannot_tell_apart_are_refused_and_the_others_kept():
    runs = runs_of(itertools.product((0, 1), repeat=2), ("mask", "denominator"))
    design = design_of(runs, "00")
    draws = np.random.default_rng(5)
    scores = planted_scores(runs, {(0,): 0.02}, spread=lambda arm: 1e-4, draws=draws)
    without = scores[scores["arm"] != "11"]
    found = effects(design, without)
    # Three arms: three means, four unknowns, and no effect is one of them alone.
    assert not any(entry["estimable"] for entry in found.values())
    assert all(math.isnan(entry["effect"]) for entry in found.values())
    whole = effects(design, scores[~((scores["arm"] == "11") & (scores["seed"] == 0))])
    assert all(entry["estimable"] for entry in whole.values())
    assert whole["mask",]["effect"] == pytest.approx(0.04, abs=1e-3)


def fortune(arm, seed):
    return zlib.crc32(f"{arm}{seed}".encode()) % 2


def planted_study(folder, solved, luck=fortune):
    """Plant a study of two parts, 50 questions of one answer each; `solved` is the share by arm."""
    arms = {"grpo": (0, 0), "keep": (1, 0), "current": (0, 1), "both": (1, 1)}

    def changed(arm, config):
        parts = {
            "reinforce.mask": LEVELS["mask"][arms[arm][0]],
            "reinforce.denominator": LEVELS["denominator"][arms[arm][1]],
        }
        return dataclasses.replace(config, algorithm=AlgorithmRecord("grpo", {}, parts))

    def outcome(arm, seed, suite, question, sample):
        # The first question of some runs is luck, or there would be no error to tell.
        unlucky = question == 0 and luck(arm, seed)
        return "correct" if question <= 50 * solved[arm] and not unlucky else "wrong"

    study = Planted(
        folder,
        arms=tuple(arms),
        baseline="grpo",
        samples=1,
        questions={"add": 50, "sub": 1},
        outcome=outcome,
        changed=changed,
    )
    study.write()
    return study


SHARES = {"grpo": 0.2, "keep": 0.4, "current": 0.2, "both": 0.8}


def report(study):
    return part(Context(read_records(study.folder), SIDES))


def test_the_table_names_the_swaps_and_gives_points(tmp_path):
    found = report(planted_study(tmp_path / "toy", SHARES))
    section = found.sections[0]
    rows = section.cells.set_index("effect")
    assert rows.loc["mask", "of"] == "KeepAll() in place of ClipMask(0.2)"
    assert rows.loc["mask × denominator", "of"] == "interaction"
    # (0.4 + 0.8 − 0.2 − 0.2) / 2 = 40 points; the interaction (0.8 − 0.2 − 0.4 + 0.2) / 2 = 20.
    assert rows.loc["mask", "average in distribution"].startswith(("+40.", "+39.", "+41."))
    assert rows.loc["mask × denominator", "average in distribution"].startswith(("+20.", "+19.", "+21."))
    assert len(found.sections) == 1, "a full design has no aliases"
    [chart] = found.charts
    drawn = chart.spec["datasets"]["dots"]
    assert {value["row"] for value in drawn} == {"mask", "denominator", "mask × denominator"}
    assert all(value["low"] <= value["value"] <= value["high"] for value in drawn)


def test_arms_that_are_the_same_algorithm_are_found_by_their_runs_and_named(tmp_path):
    study = planted_study(tmp_path / "toy", SHARES, luck=lambda arm, seed: seed % 2)
    section = report(study).sections[0]
    [note] = [note for note in section.notes if "under two names" in note]
    assert "(3 of 12): grpo = current." in note


def test_missing_runs_are_named_and_what_they_leave_unknown_is_refused(tmp_path):
    study = planted_study(tmp_path / "toy", SHARES)
    for seed in study.seeds:
        study.write_status("both", seed, "failed", "out of memory")
    section = report(study).sections[0]
    assert set(section.cells["average in distribution"]) == {"not estimable"}
    notes = " ".join(section.notes)
    assert "both, seed 0 (failed); both, seed 1 (failed); both, seed 2 (failed)" in notes
    assert "not guessed: mask, denominator, mask × denominator" in notes


def test_a_study_without_a_finished_run_has_an_empty_table_that_says_why(tmp_path):
    study = planted_study(tmp_path / "toy", SHARES)
    for arm in study.arms:
        for seed in study.seeds:
            study.write_status(arm, seed, "running", None)
    section = report(study).sections[0]
    assert section.cells.empty
    assert "no run is finished" in " ".join(section.notes)
