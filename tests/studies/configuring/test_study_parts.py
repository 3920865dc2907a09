import dataclasses
import hashlib
import json

import pytest

from algorithms import ALGORITHMS
from core import ClipMask, GroupRelative, KeepAll, KlPenalty, Rollouts, SequenceMean, ThresholdGate
from studies.catalog import PROJECT, UsageError, load_file
from studies.configuring.changes import read_changes
from studies.configuring.identity import check_identity, write_description
from studies.configuring.parts import build_algorithm
from studies.configuring.places import find_place
from studies.configuring.resolve import resolve
from studies.record import from_json, to_json
from studies.study import Arm, Study, grid
from tests.studies import toy

STUDY = Study("s", "S", (Arm("base"), Arm("grpo", "grpo"), *grid("hpt", gate=(0.0, 0.25))))
MASKS = grid("hpt", gate=(0.0, 0.25), parts={"reinforce.mask": (KeepAll(), ClipMask())})


def own_gate(step):
    raise NotImplementedError


def mine(*, imitate: float = 1.0, mask: float = 0.2):
    """Have a term and an argument of one name."""
    return ALGORITHMS["hpt"](sft_weight=imitate)


def gated(*, gate: float):
    """Have an argument that must be given."""
    return ALGORITHMS["hpt"](gate=gate)


def study(*arms):
    return Study("s", "S", arms)


def resolved(*texts, of=STUDY, seeds=(0,)):
    return resolve(of, [toy.SCALE], seeds, read_changes(of, texts))


def records(*texts, of=STUDY):
    return {run.arm: run.algorithm for run in resolved(*texts, of=of).runs}


def test_a_part_is_an_axis_of_a_grid_beside_arguments_and_arms_are_named_after_both():
    assert [arm.name for arm in MASKS] == [
        "hpt gate=0.0, reinforce.mask=KeepAll()",
        "hpt gate=0.0, reinforce.mask=ClipMask(0.2, 0.2)",
        "hpt gate=0.25, reinforce.mask=KeepAll()",
        "hpt gate=0.25, reinforce.mask=ClipMask(0.2, 0.2)",
    ]
    found = records(of=study(*MASKS))
    assert [record.arguments["gate"] for record in found.values()] == [0.0, 0.0, 0.25, 0.25]
    assert [record.parts for record in found.values()] == [
        {"reinforce.mask": "KeepAll()"},
        {"reinforce.mask": "ClipMask(low=0.2, high=0.2)"},
    ] * 2


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (ClipMask(), "hpt p=ClipMask(0.2, 0.2)"),
        ("ClipMask(0.2)", "hpt p=ClipMask(0.2)"),
        (Rollouts(ThresholdGate(0.125)), "hpt p=Rollouts(ThresholdGate(0.125, 1.0, 1.0))"),
        (GroupRelative(), "hpt p=GroupRelative('rollouts', True, 1e-06)"),
        (own_gate, "hpt p=own_gate"),
        (Rollouts(own_gate), "hpt p=Rollouts(own_gate)"),
        ((KeepAll(),), "hpt p=(KeepAll(),)"),
        (0.25, "hpt p=0.25"),
        (None, "hpt p=None"),
    ],
)
def test_arms_are_named_after_their_parts_as_one_would_write_them(value, name):
    assert [arm.name for arm in grid("hpt", parts={"p": (value,)})] == [name]


def test_arms_are_named_after_arguments_as_ever():
    names = [arm.name for arm in grid("x", a=(1, 0.5, "k3", True, None), b=((0.9, 0.95), ("y",)))]
    assert names[:3] == ["x a=1, b=(0.9, 0.95)", "x a=1, b=('y',)", "x a=0.5, b=(0.9, 0.95)"]
    assert [name.partition(",")[0] for name in names[4::2]] == ["x a=k3", "x a=True", "x a=None"]
    assert [arm.name for arm in grid("x")] == ["x"]


def test_an_arm_has_parts_as_text_or_as_themselves():
    arms = (
        Arm("text", "grpo", parts={"reinforce.mask": "ClipMask(0.1)", "reinforce.weight": "0.5"}),
        Arm("object", "grpo", parts={"reinforce.mask": ClipMask(0.1), "reinforce.weight": 0.5}),
    )
    text, themselves = records(of=study(*arms)).values()
    assert text == themselves
    assert text.parts == {"reinforce.mask": "ClipMask(low=0.1, high=0.2)", "reinforce.weight": "0.5"}
    assert find_place(build_algorithm(text), "reinforce.mask").value == ClipMask(0.1)


def test_set_swaps_parts_in_every_arm_of_the_algorithm_and_in_no_other():
    found = records("hpt.reinforce.mask=ClipMask(0.2)", "hpt.imitate.weight=0.5")
    swapped = {"imitate.weight": "0.5", "reinforce.mask": "ClipMask(low=0.2, high=0.2)"}
    assert {name: record.parts for name, record in found.items() if record} == {
        "grpo": {},
        "hpt gate=0.0": swapped,
        "hpt gate=0.25": swapped,
    }
    assert [found[name].arguments["gate"] for name in ("hpt gate=0.0", "hpt gate=0.25")] == [0.0, 0.25]


def test_a_term_that_no_algorithm_composes_is_added_by_set_and_is_an_axis_of_a_grid():
    anchor = KlPenalty(0.01, Rollouts(), SequenceMean())
    added = records("grpo.kl=KlPenalty(0.01, Rollouts(), SequenceMean())")
    assert build_algorithm(added["grpo"]).terms[1] == anchor
    assert not added["hpt gate=0.0"].parts
    arms = grid("grpo", parts={"kl": (anchor, dataclasses.replace(anchor, estimator="k1"))})
    terms = [build_algorithm(record).terms[1] for record in records(of=study(*arms)).values()]
    assert [term.estimator for term in terms] == ["k3", "k1"]


def test_a_name_without_a_further_dot_is_an_argument_before_it_is_a_part():
    of = study(Arm("a", mine))
    record = records("mine.imitate=0.25", "mine.imitate.weight=0.5", of=of)["a"]
    assert (record.arguments["imitate"], record.parts) == (0.25, {"imitate.weight": "0.5"})
    algorithm = build_algorithm(record)
    assert find_place(algorithm, "imitate.rows.gate.imitate").value == 0.25
    assert find_place(algorithm, "imitate.weight").value == 0.5
    record = records("mine.entropy=EntropyBonus(0.5, Rollouts(), TokenMean())", of=of)["a"]
    assert set(record.parts) == {"entropy"}
    assert records("grpo.aside=None")["grpo"].parts == {"aside": "None"}
    soft = records("hpt_soft.imitate=0.5,0.25", of=study(Arm("a", "hpt_soft")))["a"]
    assert (soft.arguments["imitate"], soft.parts) == ((0.5, 0.25), {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "hpt.reinforce.mask=ClipMsk(0.2)",
            r"--set hpt.reinforce.mask=ClipMsk\(0.2\): unknown part 'ClipMsk'; did you mean ClipMask",
        ),
        (
            "hpt.reinfore.mask=KeepAll",
            "--set hpt.reinfore.mask=KeepAll: unknown part of hpt 'reinfore'; did you",
        ),
        ("hpt.reinforce.mask.low=0.2", "--set hpt.reinforce.mask.low=0.2: reinforce.mask is KeepAll"),
        (
            "hpt.imitate.mask=TruncatedImportance",
            "--set hpt.imitate.mask=TruncatedImportance: .*take Rollouts",
        ),
        (
            "grpo.reinforce.mask.low=3",
            r"--set grpo.reinforce.mask.low=3: ClipMask.low=3.0 must be .*\[0.0, 1.0\]",
        ),
        ("hpt.reinforce.weight=inf", "--set hpt.reinforce.weight=inf: must be finite"),
        ("hpt.aside", "must be key=value"),
        ("hpt.mask=KeepAll", "unknown argument of hpt 'mask'"),
        ("luffy.reinforce.mask=KeepAll", "no arm of this study uses luffy; its algorithms: grpo, hpt"),
        ("htp.reinforce.mask=KeepAll", "did you mean hpt"),
    ],
)
def test_a_swap_that_cannot_be_made_is_refused_by_its_set(text, message):
    with pytest.raises(UsageError, match=message):
        resolved(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "hpt.reinforce.mask=KeepAll",
            r"hpt.reinforce.mask: the study sets this itself \(.*mask=KeepAll\(\)",
        ),
        ("hpt.reinforce.mask.low=0.1", "hpt.reinforce.mask.low: the study sets this itself"),
        (
            "hpt.reinforce=Term('reinforce', PolicyGradient(KeepAll, Unit, TotalReward, TokenLikelihood), "
            "Rollouts, TokenMean)",
            "hpt.reinforce: the study sets this itself",
        ),
        (
            "hpt.reinforce.rows.gate.threshold=0.5",
            r"hpt.reinforce.rows.gate.threshold: the study's arguments decide this \(.*: 0.0, .*: 0.25",
        ),
        ("hpt.imitate.rows.gate=None", "hpt.imitate.rows.gate: the study's arguments decide this"),
        ("hpt.entropy.rows.choices.0=Rollouts", "hpt.entropy.rows.choices.0: the study's arguments decide"),
    ],
)
def test_a_part_that_the_study_compares_is_refused(text, message):
    with pytest.raises(UsageError, match=rf"--set {message}.*in a copy of the study file"):
        resolved(text, of=study(*MASKS))


def test_a_part_that_one_arms_argument_decides_is_refused_with_a_single_arm_too():
    of = study(Arm("quarter", "hpt", {"gate": 0.25}))
    with pytest.raises(UsageError, match=r"the study's arguments decide this \(quarter: 0.25\)"):
        resolved("hpt.reinforce.rows.gate.threshold=0.5", of=of)
    assert records("hpt.reinforce.rows.gate.reinforce=0.5", of=of)["quarter"].parts
    assert records("hpt.reinforce.mask=ClipMask", of=of)["quarter"].parts


def test_parts_of_an_algorithm_whose_arguments_must_be_given_are_refused_only_where_these_decide():
    of = study(Arm("none", gated, {"gate": 0.0}), Arm("quarter", gated, {"gate": 0.25}))
    assert records("gated.reinforce.mask=ClipMask", of=of)["quarter"].parts
    with pytest.raises(UsageError, match=r"decide this \(none: 0.0, quarter: 0.25\)"):
        resolved("gated.reinforce.rows.gate.threshold=0.5", of=of)


def test_what_the_scale_or_set_decides_may_be_swapped():
    of = study(Arm("a", "hpt"))
    found = records("hpt.gate=0.25", "hpt.reinforce.rows.gate.threshold=0.5", of=of)["a"]
    algorithm = build_algorithm(found)
    assert find_place(algorithm, "reinforce.rows.gate.threshold").value == 0.5
    assert find_place(algorithm, "imitate.rows.gate.threshold").value == 0.25


def test_swaps_of_the_arm_and_of_set_are_applied_together():
    of = study(Arm("a", "sft", parts={"imitate.rows": "Rollouts"}))
    record = records("sft.imitate.mask=TruncatedImportance", of=of)["a"]
    assert set(record.parts) == {"imitate.mask", "imitate.rows"}
    assert build_algorithm(record).terms[0].rows == Rollouts()
    with pytest.raises(UsageError, match=r"--set sft.imitate.mask=TruncatedImportance: .*take Rollouts"):
        resolved("sft.imitate.mask=TruncatedImportance", of=study(Arm("a", "sft")))


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        (
            Arm("a", "grpo", parts={"reinforce.mask": "ClipMsk"}),
            "arm 'a': reinforce.mask=ClipMsk: unknown part",
        ),
        (Arm("a", "grpo", parts={"reinforce.mask": 3}), "arm 'a': reinforce.mask=3: 3 is no Mask"),
        (Arm("a", "grpo", parts={"reinforce.mask": lambda *_: 1}), "arm 'a': .*top of a file"),
        (Arm("a", "grpo", parts={"reinforce.maks": "KeepAll"}), "did you mean mask"),
        (Arm("a", parts={"reinforce.mask": "KeepAll"}), "arm 'a': has .*reinforce.mask.* but no algorithm"),
        (
            Arm("a", "grpo", parts={"reinforce.mask": "KeepAll", "reinforce.mask.low": 0.1}),
            "arm 'a': .* name the same part",
        ),
        (Arm("a" * 201, "grpo"), "too long for a folder's name"),
    ],
)
def test_an_arm_whose_parts_cannot_be_is_refused_by_its_name(arm, message):
    with pytest.raises(UsageError, match=message):
        resolved(of=study(arm))


def test_records_with_parts_are_json_and_those_without_are_what_they_were():
    for run in resolved("hpt.reinforce.mask=ClipMask(0.2)").runs:
        values = json.loads(json.dumps(to_json(run)))
        assert from_json(values) == run
        swapped = run.algorithm is not None and bool(run.algorithm.parts)
        assert ("parts" in (values["algorithm"] or {})) == swapped
    assert to_json(resolved().runs[1])["algorithm"] == {
        "function": "grpo",
        "arguments": {"clip_low": 0.2, "clip_high": 0.2, "normalize_std": True},
    }


def test_the_same_part_written_otherwise_is_the_same_configuration_and_another_is_not(tmp_path):
    write_description(resolved("hpt.reinforce.mask=ClipMask(0.2)"), tmp_path)
    check_identity(resolved("hpt.reinforce.mask=ClipMask(high=0.2, low=0.2)"), tmp_path)
    with pytest.raises(UsageError) as refusal:
        check_identity(resolved("hpt.reinforce.mask=ClipMask(0.1)"), tmp_path)
    assert (
        '  algorithm.parts.reinforce.mask: "ClipMask(low=0.2, high=0.2)" there, '
        '"ClipMask(low=0.1, high=0.2)" now (arm hpt gate=0.0, hpt gate=0.25)'
    ) in str(refusal.value).splitlines()
    with pytest.raises(UsageError, match=r'algorithm.parts.reinforce.mask: .* there, "not set" now'):
        check_identity(resolved(), tmp_path)


def test_the_committed_results_are_still_those_of_their_study():
    from studies.ablation_gate import STUDY as committed
    from studies.catalog import find_scale

    folder = PROJECT / "results" / "ablation_gate"
    tiny = find_scale("tiny")
    check_identity(resolve(committed, [tiny], (0, 1, 2)), folder)
    changes = read_changes(committed, ["hpt.reinforce.mask=ClipMask(0.2)"])
    with pytest.raises(UsageError, match=r'algorithm.parts.reinforce.mask: "not set" there, "ClipMask'):
        check_identity(resolve(committed, [tiny], (0, 1, 2), changes), folder)


def test_a_record_without_settings_that_came_later_is_still_its_studys(tmp_path):
    write_description(resolved(), tmp_path)
    path = tmp_path / "study.json"
    held = json.loads(path.read_text())
    for run in held["runs"].values():
        del run["train"]["engine"]["skip_norm_above"]
        del run["threads"]  # 1 in the scale, None by default
    path.write_text(json.dumps(held))
    with pytest.raises(UsageError) as refusal:
        check_identity(resolved(), tmp_path)
    assert str(refusal.value).splitlines()[1:-1] == ["  threads: null there, 1 now"]


def test_files_of_parts_are_sources_of_the_study(tmp_path):
    text = (
        "from dataclasses import dataclass\n\nfrom core import ThresholdGate\n\n"
        "@dataclass(frozen=True)\nclass Soft:\n    threshold: float = 0.5\n\n"
        "    def __call__(self, step):\n        return ThresholdGate(self.threshold)(step)\n\n"
        "def gate(step):\n    return ThresholdGate(0.5)(step)\n"
    )
    files = [tmp_path / name for name in ("one.py", "two.py", "three.py")]
    for file in files:
        file.write_text(text)
    one, two, three = files
    arm = Arm("a", "hpt", parts={"reinforce.rows": Rollouts(load_file(one).Soft(0.25))})
    texts = (f"hpt.imitate.rows.gate={two}:gate", f"hpt.entropy.rows=Rollouts({three}:Soft)")
    found = resolved(*texts, of=study(arm))
    sha = hashlib.sha256(text.encode()).hexdigest()
    assert found.sources == {str(file): sha for file in files}
    assert found.runs[0].algorithm.parts == {
        "entropy.rows": f"Rollouts(gate={three}:Soft(threshold=0.5))",
        "imitate.rows.gate": f"{two}:gate",
        "reinforce.rows": f"Rollouts(gate={one}:Soft(threshold=0.25))",
    }
    write_description(found, tmp_path)
    check_identity(found, tmp_path)
    two.write_text(text.replace("0.5", "0.25"))
    assert set(resolved(of=study(arm)).sources) == {str(one)}
    with pytest.raises(UsageError, match=f"sources.{two}"):
        check_identity(resolved(*texts, of=study(arm)), tmp_path)


def test_files_of_set_are_looked_for_from_where_one_stands_and_recorded_from_the_project(
    monkeypatch, tmp_path
):
    (tmp_path / "gates.py").write_text("def gate(step):\n    raise NotImplementedError\n")
    monkeypatch.chdir(tmp_path)
    assert records("hpt.imitate.rows.gate=gates.py:gate", of=study(Arm("a", "hpt")))["a"].parts == {
        "imitate.rows.gate": f"{tmp_path}/gates.py:gate"
    }
    here = "tests/studies/configuring/test_study_parts.py"
    monkeypatch.chdir(PROJECT / "tests")
    for path in (here.removeprefix("tests/"), here, str(PROJECT / here)):
        record = records(f"hpt.imitate.rows.gate={path}:own_gate", of=study(Arm("a", "hpt")))["a"]
        assert record.parts == {"imitate.rows.gate": f"{here}:own_gate"}
    monkeypatch.chdir(tmp_path)
    (tmp_path / here).parent.mkdir(parents=True)
    (tmp_path / here).write_text("def own_gate(step):\n    return 'another'\n")
    gate = find_place(build_algorithm(record), "imitate.rows.gate").value
    with pytest.raises(NotImplementedError):
        gate(None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grpo.reinforce.advantage=Precomputed", "^arm 'grpo': --set grpo.reinforce.advantage=Precomputed: .*"
         "'grpo' reads advantage, which training does not provide"),
        ("grpo.reinforce.tokens=PrefixTokens", "trains on the tokens of prefixes, and its rollouts"),
        ("hpt.aside=SideStep()", "taken here: SideStep .composed by functions, not by a text. or None"),
        ("grpo.reinforce.mask=ClipMask(low=nan)", "ClipMask.low: nan is no finite number"),
    ],
)  # fmt: skip
def test_what_no_run_could_provide_is_refused_before_it_starts(text, message):
    with pytest.raises(UsageError, match=message):
        resolved(text)
