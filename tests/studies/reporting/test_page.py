import json
import re
from html import unescape
from html.parser import HTMLParser

import pandas as pd
import pytest

from studies.directories import PRUNED
from studies.reporting.page import embedding, rates, samples
from studies.reporting.page.embedding import embedded_json, policy, vega
from studies.reporting.page.facts import configurations, provenance, summary_line, unfinished, verdicts
from studies.reporting.page.page import page
from studies.reporting.page.rates import rates_data
from studies.reporting.page.samples import samples_data
from studies.reporting.page.tables import number, table_view
from studies.reporting.parts import Cell, Context, Section
from studies.reporting.records import read_records
from studies.reporting.report import suite_sides
from tests.studies.reporting.paged import (
    ARMS,
    HOSTILE,
    REPRODUCE,
    add_rollouts,
    plant,
    recorded,
    report,
    response,
    set_provenance,
)


@pytest.fixture
def planted(tmp_path):
    return plant(tmp_path / "toy")


def context_of(planted):
    records = read_records(planted.folder)
    return Context(records, suite_sides(records))


class Elements(HTMLParser):
    """Collects the tags of a page and what stands in its data block."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.data, self._inside = [], [], "", False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._inside = tag == "script" and ("id", "data") in attributes

    def handle_endtag(self, tag):
        self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.data += data
        else:
            self.words.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_a_table_is_sorted_by_the_numbers_that_its_texts_begin_with():
    texts = ["−14.5 ± 2.0 (p n/a)", "+3 ± 1", "600 × 4", "1,200", "< 0.001", "7.5e-05", "3 / 0 / 0"]
    assert [number(text) for text in texts] == [-14.5, 3, 600, 1200, 0.001, 7.5e-05, 3]
    assert [number(text) for text in ("missing", "–", "hpt gate=0.5", "0.18.9", "4bit", "")] == [None] * 6


def test_a_column_with_some_words_is_one_of_numbers_and_a_column_of_words_is_not():
    cells = pd.DataFrame(
        {"arm": ["1", "2", "3"], "add": ["5.0 ± 1", "missing", "–"], "note": ["2 of 3", "odd", "even"]}
    )
    view = table_view(Section("x", "X", cells, ["told"], frozenset({Cell(0, "add")})))
    assert view.numeric == [False, True, False]
    assert [row[1] for row in view.rows] == [
        ("5.0 ± 1", 5, True),
        ("missing", None, False),
        ("–", None, False),
    ]
    assert view.notes == ["told"]
    assert table_view(Section("x", "X", cells), words=True).numeric == [False] * 3


def test_embedded_data_cannot_end_its_tag_and_comes_out_as_it_went_in():
    value = {"text": HOSTILE, "lone": "\ud800", "nul": "\x00"}
    text = embedded_json(value)
    assert not set(text) & set("<>&\u2028\ud800")
    assert json.loads(text) == value


def test_no_text_of_a_model_or_an_arm_becomes_part_of_the_page(planted):
    set_provenance(planted, "grpo", 0, {"commit": HOSTILE, "versions": {HOSTILE: HOSTILE}})
    found = Elements(report(planted).read_text())
    assert not found.of("img")
    scripts = found.of("script")
    assert scripts == [{"type": "application/json", "id": "data"}, {}, {}]
    assert not any("onerror" in attributes for _, attributes in found.tags)
    data = json.loads(found.data)
    texts = {
        each["text"] for run in data["samples"]["runs"] for r in run["records"] for each in r["responses"]
    }
    assert HOSTILE in texts
    assert ARMS[3] in found.words
    assert REPRODUCE in found.words


def test_the_page_names_no_address_and_allows_its_own_scripts_alone(planted):
    text = report(planted).read_text()
    found = Elements(text)
    sources = {a.get("src") or a.get("href") for _, a in found.tags} - {None}
    assert all(source.startswith(("#", "data:")) for source in sources)
    (allowed,) = (a["content"] for a in found.of("meta") if "http-equiv" in a)
    assert allowed.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in allowed
    assert allowed == policy([vega(), embedding.own_file("page.js")])
    assert policy(["a"]) != policy(["b"])


def test_equal_records_give_equal_pages(planted):
    first = report(planted).read_bytes()
    assert report(planted).read_bytes() == first
    assert len(first) < 3_000_000


def test_the_page_is_in_order_and_has_its_landmarks(planted):
    text = report(planted).read_text()
    marks = ["<h1>", "heading-audit", "heading-problems", 'id="content"', 'id="charts"', 'id="questions"']
    marks += ['id="samples"', 'id="configuration"', 'id="grader"', 'id="reproduce"']
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)
    found = Elements(text)
    assert found.of("html") == [{"lang": "en"}]
    assert len(found.of("main")) == len(found.of("nav")) == 1
    skip = next(a for a in found.of("a") if a.get("class") == "skip")
    assert any(a.get("id") == skip["href"].removeprefix("#") for _, a in found.tags)
    assert all(a.get("scope") in ("col", "row") for a in found.of("th"))
    named = [a["aria-labelledby"] for _, a in found.tags if "aria-labelledby" in a]
    assert set(named) <= {a.get("id") for _, a in found.tags}
    ids = [a["id"] for _, a in found.tags if "id" in a]
    assert len(ids) == len(set(ids))


def test_the_first_line_says_what_ran(planted):
    assert summary_line(read_records(planted.folder)) == (
        "Scale toy · 4 arms · seeds 0, 1 · 8 of 8 runs finished"
    )


def test_what_is_wrong_stands_at_the_top(planted):
    assert "Records: nothing is missing or damaged" in report(planted).read_text()
    planted.write_status("grpo", 0, "failed", "ran out of <memory>")
    (planted.run("sft", 1) / "metrics.jsonl").write_text("{")
    context = context_of(planted)
    assert unfinished(context)[1] == "grpo: failed 1 of 2 (seed 0): ran out of <memory>"
    text = unescape(report(planted).read_text())
    top = text[text.index("heading-problems") : text.index('id="content"')]
    assert "ran out of <memory>" in top
    assert "metrics.jsonl line 1" in top
    assert "nothing is missing or damaged" not in text
    assert "Gradient audit: not audited" in text


def test_a_trial_that_a_sweep_pruned_is_nothing_wrong(planted):
    planted.write_status("grpo", 0, "failed", f"{PRUNED}after step 20: behind other trials in validation")
    assert unfinished(context_of(planted)) == []
    assert "Records: nothing is missing or damaged" in report(planted).read_text()


def test_settings_in_which_arms_differ_have_a_column_for_each_arm(planted):
    path = planted.folder / "study.json"
    study = json.loads(path.read_text())
    study["runs"]["grpo"]["train"]["optimizer"]["learning_rate"] = 0.5
    path.write_text(json.dumps(study))
    differing, shared = configurations(read_records(planted.folder))
    rows = {each["setting"]: each for each in differing.cells.to_dict("records")}
    assert set(rows) == {
        "algorithm.function",
        "algorithm.arguments.clip",
        "train.optimizer.learning_rate",
    }
    assert rows["train.optimizer.learning_rate"]["grpo"] == "0.5"
    assert rows["train.optimizer.learning_rate"]["sft"] != "0.5"
    assert rows["algorithm.arguments.clip"]["base"] == "–"
    assert ("scale", "toy") in shared
    assert not {key for key, _ in shared} & set(rows)


def test_verdicts_are_counted_over_the_suites_of_an_arm(planted):
    table = verdicts(context_of(planted)).cells.set_index("arm")
    # 2 seeds x 2 samples x (4 + 2) questions, of which the base solves the first of each suite.
    assert tuple(table.loc["base", ["correct", "wrong", "truncated"]]) == ("8", "16", "16")
    for seed in (0, 1):
        planted.write_status("grpo", seed, "failed", "x")
    assert set(verdicts(context_of(planted)).cells.set_index("arm").loc["grpo"]) == {"–"}


def test_provenance_tells_runs_apart_that_were_made_with_something_else(planted):
    same = {"commit": "abc", "modified": [], "versions": {"torch": "2"}, "started": "now"}
    for arm in ARMS:
        for seed in (0, 1):
            set_provenance(planted, arm, seed, same | {"started": f"{arm} {seed}"})
    alike = provenance(read_records(planted.folder)).cells.set_index("made with")
    assert list(alike.columns) == ["all 8 runs"]
    assert alike.loc["commit", "all 8 runs"] == "abc"
    assert alike.loc["files that differ from it", "all 8 runs"] == "none"
    set_provenance(planted, "sft", 1, same | {"modified": ["core/x.py"]})
    apart = provenance(read_records(planted.folder)).cells.set_index("made with")
    assert apart.loc["files that differ from it", "sft, seed 1"] == "core/x.py"


def test_the_samples_browser_says_what_each_response_was_used_for(planted):
    data = samples_data(read_records(planted.folder))
    assert data["outcomes"] == ["correct", "demonstration", "wrong"]
    assert data["terms"] == ["imitate", "reinforce"]
    assert [(run["arm"], run["seed"]) for run in data["runs"]] == [(a, s) for a in ARMS[1:] for s in (0, 1)]
    records = data["runs"][2]["records"]
    assert [record["step"] for record in records] == [1, 2, 3, 4, 5, 6]
    assert [each["terms"] for each in records[1]["responses"]] == [[], []]
    assert records[2]["responses"][2]["terms"] == ["imitate"]
    assert data["note"] == "All questions that runs have recorded are here: up to 6 a run."


def test_a_page_keeps_some_of_many_samples_and_says_so(planted):
    add_rollouts(planted, "grpo", 0, [recorded("grpo", step) for step in range(1, 1001)])
    data = samples_data(read_records(planted.folder))
    run = next(run for run in data["runs"] if (run["arm"], run["seed"]) == ("grpo", 0))
    steps = [record["step"] for record in run["records"]]
    assert (len(steps), steps[0], steps[-1]) == (samples.KEPT[0], 1, 1000)
    assert run["recorded"] == 1000
    assert data["note"].startswith(f"This page keeps at most {samples.KEPT[0]} recorded questions a run")
    assert "up to 1,000" in data["note"]


def test_long_responses_are_cut_in_the_middle_and_many_of_them_are_fewer(planted):
    text = "a" * 5000 + "\\boxed{4}"
    long = [recorded("grpo", step) | {"responses": [response(text, "correct")] * 60} for step in range(1, 41)]
    for arm in ARMS[1:]:
        add_rollouts(planted, arm, 0, long)
    data = samples_data(read_records(planted.folder))
    kept = data["runs"][0]["records"]
    assert len(kept) < 40
    (cut, *_) = kept[0]["responses"]
    assert cut["text"] + "a" * cut["left_out"] + cut["end"] == text
    assert cut["end"].endswith("\\boxed{4}")
    assert len(json.dumps(data)) < samples.BYTES * 1.1
    assert f"at most {len(kept)} recorded questions a run" in data["note"]
    assert "first 1,000 and last 500 characters" in data["note"]


def test_runs_that_recorded_no_responses_have_an_empty_browser(tmp_path):
    planted = plant(tmp_path / "toy", arms=("base",))
    context = context_of(planted)
    assert samples_data(context.records)["runs"] == []
    assert "No finished run has recorded responses." in page(context, [], "x")


def test_the_heat_map_holds_every_validated_question_by_step(planted):
    data = rates_data(read_records(planted.folder))
    assert data["columns"] == ["2", "4", "6"]
    assert data["questions"] == {"add": [f"add-{number}" for number in range(5)]}
    run = data["runs"][0]
    assert (run["arm"], run["seed"]) == ("sft", 0)
    assert run["rates"]["add"] == [
        [0, 100, 100, 100],
        [1, 100, 100, 100],
        [2, 0, 100, 100],
        [3, 0, 100, 100],
        [4, 0, 0, 100],
    ]
    assert data["note"].startswith("Validations.")


def test_without_validations_the_heat_map_is_of_the_rollouts_of_training(tmp_path):
    planted = plant(tmp_path / "toy", steps=48, validated=False)
    data = rates_data(read_records(planted.folder))
    assert len(data["columns"]) == 24
    assert data["columns"][:2] == ["1–2", "3–4"]
    assert {run["arm"] for run in data["runs"]} == set(ARMS[2:])
    asked = data["questions"][rates.TRAINING]
    rows = {asked[place]: told for place, *told in data["runs"][0]["rates"][rates.TRAINING]}
    # Question 7 is asked in every step, with the rate step / 8.
    assert rows["7"][:2] == [18.8, 43.8]
    # Question 10 is asked in the first step alone.
    assert rows["10"] == [0] + [None] * 23
    assert "there were no validations" in data["note"]


def test_a_heat_map_of_too_many_questions_keeps_those_asked_most_often_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(rates, "QUESTIONS", 4)
    planted = plant(tmp_path / "toy", steps=6, validated=False)
    data = rates_data(read_records(planted.folder))
    assert len(data["questions"][rates.TRAINING]) == 4
    assert "7" in data["questions"][rates.TRAINING]
    assert re.search(r"asked most often: 4 of 19 \(questions of training\)", data["note"])


def test_a_study_without_any_finished_run_has_a_page(tmp_path):
    planted = plant(tmp_path / "toy", seeds=(0,))
    for arm in ARMS:
        planted.write_status(arm, 0, "failed", "x")
    text = report(planted).read_text()
    assert "0 of 4 runs finished" in text
    assert "No finished run has validations" in text


def test_the_script_bundle_is_kept_and_read_again(tmp_path, monkeypatch):
    text = vega()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    vega.cache_clear()
    (tmp_path / "quartet").mkdir()
    kept = tmp_path / "quartet" / f"vega-{embedding.metadata.version('vl-convert-python')}.js"
    kept.write_text("kept")
    assert vega() == "kept"
    vega.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/nowhere")
    assert vega() == text
    vega.cache_clear()
