import dataclasses
import json

import pytest

from algorithms import ALGORITHMS
from core import (
    Algorithm,
    AllOf,
    BehaviorPolicy,
    ClipMask,
    Curriculum,
    Demonstrations,
    DynamicSampling,
    EntropyBonus,
    GroupRelative,
    KeepAll,
    KlPenalty,
    PolicyGradient,
    Rollouts,
    SequenceLikelihood,
    SequenceMean,
    SideStep,
    Stage,
    TableGate,
    Term,
    ThresholdGate,
    TokenLikelihood,
    TokenMean,
    TruncatedImportance,
    ValueLoss,
)
from studies.catalog import UsageError, algorithm_reference, load_file
from studies.configuring.arguments import spell_out
from studies.configuring.expressions import write_part
from studies.configuring.parts import Swap, build_algorithm, swap_parts
from studies.configuring.places import find_place, places, whole
from studies.record import AlgorithmRecord, completed

ESTIMATOR = PolicyGradient(ClipMask(0.1, 0.3), BehaviorPolicy(), GroupRelative(), TokenLikelihood())


def term(name, rows=None):
    return Term(name, ESTIMATOR, rows or Rollouts(), SequenceMean())


def swapped(name, *pairs, **arguments):
    return swap_parts(ALGORITHMS[name](**arguments), [Swap(path, value) for path, value in pairs]).algorithm


def part(name, path, *pairs, **arguments):
    return find_place(swapped(name, *pairs, **arguments), path).value


def leaves(algorithm):
    """Return all that stands in an algorithm, by path, from the terms and stages down."""
    found, left = {}, [("", whole(algorithm))]
    while left:
        path, holder = left.pop()
        for place in places(holder):
            found[f"{path}{place.name}"] = place
            left.append((f"{path}{place.name}.", place))
    return found


def names(algorithm):
    return {path for path, place in leaves(algorithm).items() if not isinstance(place.value, Algorithm)}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_part_of_every_algorithm_can_be_named_written_and_put_back(name):
    algorithm = ALGORITHMS[name]()
    places_ = leaves(algorithm)
    assert len(places_) > 8
    for path in names(algorithm):
        place = find_place(algorithm, path)
        assert place == places_[path]
        if path.count(".") < 2 and not isinstance(place.value, SideStep):  # the ends, deeper, come below
            assert swapped(name, (path, write_part(place.value))) == algorithm
    holders = {path.rpartition(".")[0] for path in places_}
    ends = [path for path in names(algorithm) if path not in holders]
    assert swapped(name, *((path, write_part(places_[path].value)) for path in ends)) == algorithm


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_swap_changes_its_own_place_and_what_it_stands_in_and_nothing_else(name):
    algorithm = ALGORITHMS[name]()
    before = leaves(algorithm)
    tried = 0
    for path, place in before.items():
        if not path.endswith("weight") or type(place.value) is not float:
            continue
        tried += 1
        after = leaves(swapped(name, (path, place.value + 0.5)))
        changed = {each for each in before if after[each].value != before[each].value}
        assert changed == {
            path[:end] for end in range(len(path) + 1) if f"{path}."[end] == "." and path[:end]
        }
        assert after[path].value == place.value + 0.5
    assert tried


def test_parts_of_terms_are_swapped_by_the_names_of_term_and_field():
    found = swapped(
        "hpt",
        ("reinforce.mask", "ClipMask(0.2)"),
        ("reinforce.advantage", GroupRelative()),
        ("imitate.aggregation", "SequenceMean"),
        ("imitate.weight", "0.5"),
        ("reinforce.tokens", "SampledTokens"),
        ("reinforce.rows.gate.threshold", "0.25"),
        ("entropy.weight", 0.01),
    )
    reinforce, imitate, entropy = found.terms
    assert reinforce.estimator == dataclasses.replace(
        ALGORITHMS["hpt"]().terms[0].estimator, mask=ClipMask(0.2), advantage=GroupRelative()
    )
    assert imitate.aggregation == SequenceMean()
    assert (imitate.weight, entropy.weight) == (0.5, 0.01)
    assert type(reinforce.tokens).__name__ == "SampledTokens"
    assert reinforce.rows == Rollouts(ThresholdGate(0.25))
    assert imitate.rows.gate == ThresholdGate(0.0)


def test_fields_of_parts_and_elements_of_tuples_are_reached_by_going_deeper():
    assert part("grpo", "reinforce.mask", ("reinforce.mask.low", "0.3")) == ClipMask(0.3, 0.2)
    gate = "entropy.rows.choices.1.gate"
    assert part("hpt", f"{gate}", (f"{gate}.threshold", 0.5)) == ThresholdGate(0.5)
    assert part("hpt", "entropy.rows.choices.0.gate", (f"{gate}.threshold", 0.5)) == ThresholdGate(0.0)
    table = ("reinforce.rows.gate.imitate.0", "0.75")
    assert part("hpt_soft", "reinforce.rows.gate", table) == TableGate((0.0, 1.0), (0.75, 0.0))


def test_a_curriculum_is_entered_by_the_stage():
    found = swapped("sft_then_grpo", ("grpo.reinforce.mask", "KeepAll"), ("sft.imitate.weight", "2"))
    assert found.stages[1].algorithm.terms[0].estimator.mask == KeepAll()
    assert found.stages[0].algorithm.terms[0].weight == 2.0
    assert [stage.share for stage in found.stages] == [0.5, 0.5]


def test_rollouts_and_side_steps_have_parts_too():
    assert part("dapo", "rollouts.dynamic", ("rollouts.dynamic.rounds", "3")) == DynamicSampling(3)
    assert part("grpo", "rollouts.dynamic", ("rollouts.dynamic", "DynamicSampling(4)")) == DynamicSampling(4)
    assert part("prefix_rft", "rollouts.prefix.length.high", ("rollouts.prefix.length.high", "0.5")) == 0.5
    assert part("relift", "aside.questions", ("aside.questions", "7")) == 7
    assert swapped("relift", ("aside", None)).aside is None
    assert part("relift", "aside.algorithm.imitate.weight", ("aside.algorithm.imitate.weight", "0.5")) == 0.5


def test_a_star_swaps_every_place_that_matches_and_the_record_names_each():
    gate = TableGate((0.0, 1.0), (1.0, 0.0))
    found = swap_parts(ALGORITHMS["hpt"](), [Swap("*.gate", "TableGate((0, 1), (1, 0))")])
    assert sorted(found.texts) == [
        "entropy.rows.choices.0.gate",
        "entropy.rows.choices.1.gate",
        "imitate.rows.gate",
        "reinforce.rows.gate",
    ]
    assert {find_place(found.algorithm, path).value for path in found.texts} == {gate}
    # α = P and β = 1 − P, whatever the solve rate: the registered composition.
    assert found.algorithm.terms == ALGORITHMS["hpt_soft"]().terms


def test_a_star_stands_for_the_outermost_places_alone():
    found = swap_parts(ALGORITHMS["reinforce_plus_plus"](), [Swap("*.advantage", "LeaveOneOut()")])
    assert list(found.texts) == ["reinforce.advantage"]


def test_a_star_that_matches_nothing_is_refused_with_what_there_is():
    with pytest.raises(
        UsageError, match=r"\*\.threshold=0: \*\.threshold matches no part of grpo; its parts are .*rows"
    ):
        swap_parts(ALGORITHMS["grpo"](), [Swap("*.threshold", "0")])


def test_a_whole_term_is_swapped_by_its_name():
    found = swapped("grpo_kl", ("kl", "KlPenalty(0.1, Rollouts(), TokenMean(), estimator='k2')"))
    assert found.terms[1] == KlPenalty(0.1, Rollouts(), TokenMean(), estimator="k2")


def test_parts_that_are_only_possible_together_are_swapped_together():
    sampled = (("imitate.mask", "TruncatedImportance"), ("imitate.rows", "Rollouts"))
    assert part("sft", "imitate.mask", *sampled) == TruncatedImportance()
    whole_row = (("reinforce.likelihood", "SequenceLikelihood"), ("reinforce.advantage", "TotalReward"))
    assert part("reinforce_plus_plus", "reinforce.likelihood", *whole_row) == SequenceLikelihood()
    critic = (
        ("reinforce.advantage", "Gae()"),
        ("entropy", "ValueLoss(Gae(), 0.5, Rollouts(), TokenMean())"),
    )
    assert isinstance(swapped("hpt", *critic).terms[2], ValueLoss)
    for name, pairs in (("sft", sampled), ("reinforce_plus_plus", whole_row), ("hpt", critic)):
        with pytest.raises(UsageError):
            swapped(name, pairs[0])


@pytest.mark.parametrize(
    ("name", "pairs", "message"),
    [
        ("hpt", [("reinfore.mask", "KeepAll")], r"unknown part of hpt 'reinfore'; did you mean reinforce"),
        ("hpt", [("reinforce.maks", "KeepAll")], "unknown part of reinforce 'maks'; did you mean mask"),
        ("hpt", [("reinforce.estimator.mask", "KeepAll")], "unknown part of reinforce 'estimator'"),
        ("hpt", [("entropy.name", "other")], "unknown part of entropy 'name'"),
        ("hpt", [("reinforce.name", "other")], "unknown part of reinforce 'name'"),
        ("hpt", [("reinforce.mask.low", "0.2")], r"reinforce.mask is KeepAll\(\), which holds no part 'low'"),
        ("hpt", [("rollouts.prefix.length", "Fixed(1)")], "rollouts.prefix is None, which holds no part"),
        ("hpt", [("", "KeepAll")], "unknown part of hpt ''"),
        ("hpt", [("reinforce..mask", "KeepAll")], "unknown part of reinforce ''"),
        ("hpt", [("entropy.rows.choices.2", "Rollouts")], "unknown part of entropy.rows.choices '2'"),
        (
            "hpt",
            [("reinforce.mask", "ClipMsk")],
            "^reinforce.mask=ClipMsk: unknown part 'ClipMsk'",
        ),
        ("hpt", [("entropy.rows.choices.0", "KeepAll")], r"KeepAll\(\) is no RowWeight"),
        (
            "hpt_soft",
            [("reinforce.rows.gate.imitate.0", "much")],
            "imitate.0=much: input should be a valid number",
        ),
        ("hpt", [("reinforce.mask", "BehaviorPolicy")], r"BehaviorPolicy\(\) is no Mask"),
        ("hpt", [("reinforce.rows.gate", "KeepAll")], r"KeepAll\(\) is no Gate"),
        ("hpt", [("reinforce", "3")], "3 is no LossTerm; taken here: LossTerm .EntropyBonus, KlPenalty"),
        ("grpo", [("reinforce.mask.low", "3")], r"^reinforce.mask.low=3: ClipMask.low=3.0 must be a finite"),
        ("grpo", [("reinforce.mask.low", "wide")], "reinforce.mask.low=wide: input should be a valid number"),
        ("grpo", [("reinforce.weight", "nan")], "reinforce.weight=nan: must be finite"),
        (
            "sft_then_grpo",
            [("reinforce.mask", "KeepAll")],
            "unknown part of sft_then_grpo 'reinforce'",
        ),
        (
            "sft_then_grpo",
            [("grpo", "KeepAll")],
            "grpo is a whole algorithm; go on to .*: reinforce",
        ),
        (
            "relift",
            [("aside.algorithm", "KeepAll")],
            "aside.algorithm is a whole algorithm.*imitate",
        ),
        (
            "grpo",
            [("reinforce.mask", "KeepAll"), ("reinforce.mask.low", "0.1")],
            r"reinforce.mask.* and reinforce.mask.* name the same part; give one that says both",
        ),
        (
            "reinforce_plus_plus",
            [("reinforce.likelihood", "SequenceLikelihood"), ("reinforce.mask", "KeepAll")],
            r"^reinforce.likelihood=SequenceLikelihood, reinforce.mask=KeepAll: SequenceLikelihood\(\) has "
            "one ratio for the whole row.*use TokenLikelihood",
        ),
        (
            "sft",
            [("imitate.mask", "TruncatedImportance")],
            "^imitate.mask=TruncatedImportance: term 'imitate': .*take Rollouts",
        ),
        (
            "grpo",
            [("reinforce.advantage", "Gae()")],
            "^reinforce.advantage=.*no term trains the critic; add",
        ),
    ],
)
def test_a_swap_that_cannot_be_made_is_refused_with_its_name_and_the_way_out(name, pairs, message):
    with pytest.raises(UsageError, match=message):
        swapped(name, *pairs)


def test_a_name_of_two_parts_is_refused_where_it_is_used_and_only_there():
    twice = Algorithm("odd", (term("rollouts"), term("reinforce")))
    with pytest.raises(UsageError, match=r"odd has two parts called rollouts.*rename one of them"):
        find_place(twice, "rollouts.mask")
    assert find_place(twice, "reinforce.mask").value == ClipMask(0.1, 0.3)
    again = Curriculum("thrice", (Stage(twice, 0.5), Stage(ALGORITHMS["sft"](), 0.25), Stage(twice, 0.25)))
    with pytest.raises(UsageError, match="thrice has two parts called odd"):
        find_place(again, "odd.reinforce.mask")
    found = swap_parts(again, [Swap("sft.imitate.weight", 0.5)]).algorithm
    assert found.stages[1].algorithm.terms[0].weight == 0.5
    assert (found.stages[0], found.stages[2]) == (again.stages[0], again.stages[2])


def test_all_ways_to_write_a_part_have_one_text():
    ways = ["ClipMask(0.2)", "ClipMask", "ClipMask(low=0.2, high=0.2)", " ClipMask( high = .2 )", ClipMask()]
    texts = [swap_parts(ALGORITHMS["grpo"](), [Swap("reinforce.mask", way)]).texts for way in ways]
    assert texts == [{"reinforce.mask": "ClipMask(low=0.2, high=0.2)"}] * len(ways)
    numbers = [
        swap_parts(ALGORITHMS["grpo"](), [Swap("reinforce.weight", way)]).texts for way in ("1", 1, "1.0")
    ]
    assert numbers == [{"reinforce.weight": "1.0"}] * 3


def test_a_record_builds_what_was_swapped_after_composing_by_name_and_arguments():
    parts = {
        "reinforce.mask": "AllOf(masks=(ClipMask(low=0.2, high=0.2), KeepAll()))",
        "imitate.weight": "0.5",
    }
    found = build_algorithm(AlgorithmRecord("hpt", {"gate": 0.25, "sft_weight": 0.3}, parts))
    bare = ALGORITHMS["hpt"](gate=0.25, sft_weight=0.3)
    assert find_place(found, "reinforce.mask").value == AllOf((ClipMask(), KeepAll()))
    assert find_place(found, "imitate.weight").value == 0.5
    assert find_place(found, "reinforce.rows").value == find_place(bare, "reinforce.rows").value
    assert build_algorithm(AlgorithmRecord("hpt", {"gate": 0.25, "sft_weight": 0.3})) == bare


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_record_builds_the_same_after_it_was_json(name):
    algorithm = ALGORITHMS[name]()
    arguments = json.loads(json.dumps(spell_out(name, ALGORITHMS[name], {})))
    assert repr(build_algorithm(AlgorithmRecord(name, arguments))) == repr(algorithm)


def weighted(*, weights: tuple[float, ...] = (1.0, 0.5)):
    """Take a tuple, and nothing that JSON has in its place."""
    assert isinstance(weights, tuple)
    return Algorithm("weighted", (term("reinforce"),))


def test_a_record_gives_back_the_tuples_that_json_has_no_word_for():
    record = AlgorithmRecord(algorithm_reference(weighted), {"weights": [0.25, 0.5]})
    assert build_algorithm(record).name == "weighted"


def test_a_record_that_names_a_part_that_is_gone_is_refused_by_its_name():
    with pytest.raises(UsageError, match=r"reinforce.mask=GoneMask.*unknown part 'GoneMask'"):
        build_algorithm(AlgorithmRecord("grpo", {}, {"reinforce.mask": "GoneMask()"}))


def test_a_part_that_reads_back_as_another_is_refused(tmp_path):
    (tmp_path / "drift.py").write_text(
        "from dataclasses import dataclass\n\n"
        "@dataclass(frozen=True)\nclass Drift:\n    share: float = 0.5\n\n"
        "    def __post_init__(self):\n        object.__setattr__(self, 'share', self.share / 2)\n\n"
        "    def __call__(self, ratio, advantage, policy, batch):\n        return ratio\n"
    )
    with pytest.raises(UsageError, match="when it is read again, so no record can hold it"):
        swapped("grpo", ("reinforce.mask", f"{tmp_path}/drift.py:Drift(0.5)"))


def test_a_part_object_of_a_users_own_file_is_recorded_by_its_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import dataclass\n\nimport torch\nfrom jaxtyping import Float\n"
        "from torch import Tensor\n\n"
        "@dataclass(frozen=True)\nclass Half:\n    share: float = 0.5\n\n"
        "    def __call__(self, ratio, advantage, policy, batch) -> Float[Tensor, 'batch token']:\n"
        "        return torch.full_like(ratio, self.share)\n\n"
        "def gate(step):\n    raise NotImplementedError\n"
    )
    module = load_file(file)
    found = swap_parts(
        ALGORITHMS["hpt"](),
        [Swap("reinforce.mask", module.Half(0.25)), Swap("reinforce.rows.gate", module.gate)],
    )
    assert found.texts == {
        "reinforce.mask": f"{file}:Half(share=0.25)",
        "reinforce.rows.gate": f"{file}:gate",
    }
    record = AlgorithmRecord("hpt", {}, found.texts)
    assert build_algorithm(record) == found.algorithm
    assert find_place(found.algorithm, "reinforce.mask.share").value == 0.25


def test_a_record_is_completed_by_the_defaults_of_what_it_lacks():
    held = {"scale": "tiny", "policy": "p", "train_data": "t", "algorithm": None}
    held |= {"train": {"steps": 3}, "evaluation": {"suites": ["a"]}}
    full = completed(held)
    assert full["train"]["steps"] == 3
    assert full["train"]["engine"]["zero_stage"] == 0
    assert full["threads"] is None
    assert not {"study", "arm", "seed"} & set(full)
    assert completed(held | {"algorithm": {"function": "sft", "arguments": {}}})["algorithm"] == {
        "function": "sft",
        "arguments": {},
    }
    assert completed({"train": {"stepz": 3}}) == {"train": {"stepz": 3}}
    assert completed({}) == {}


def test_a_term_of_a_new_name_is_added_after_the_others():
    anchor = KlPenalty(0.01, Rollouts(), SequenceMean(), name="anchor")
    for value in (anchor, "KlPenalty(0.01, Rollouts(), SequenceMean(), name='anchor')"):
        found = swap_parts(ALGORITHMS["grpo"](), [Swap("anchor", value), Swap("reinforce.mask", "KeepAll()")])
        assert found.algorithm.terms[1] == anchor
        assert found.algorithm.terms[0].estimator.mask == KeepAll()
        assert build_algorithm(AlgorithmRecord("grpo", {}, found.texts)) == found.algorithm
        assert "reference_logp" in found.algorithm.needs


def test_a_term_is_added_to_a_stage_of_a_curriculum_and_to_steps_aside():
    anchor = KlPenalty(0.01, Rollouts(), SequenceMean())
    found = swapped("sft_then_grpo", ("grpo.kl", anchor))
    assert [len(stage.algorithm.terms) for stage in found.stages] == [1, 2]
    assert found.stages[1].algorithm.terms[1] == anchor
    bonus = EntropyBonus(0.01, Demonstrations(), TokenMean())
    assert swapped("relift", ("aside.algorithm.entropy", bonus)).aside.algorithm.terms[1] == bonus


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("reinforc", "ClipMask(0.2)", "did you mean reinforce.; nor can it be a new term: .*is no LossTerm"),
        ("kl", "KlPenaltyy(0.1)", "known: .*; nor can it be a new term: .*did you mean KlPenalty"),
        ("anchor", "KlPenalty(0.1, Rollouts(), TokenMean())", "to be called as its place is: name='anchor'"),
        ("kl.weight", "0.1", "unknown part of grpo 'kl'; known: aside, reinforce, rollouts$"),
        (
            "reinforce.kl",
            "KlPenalty(0.1, Rollouts(), TokenMean())",
            "unknown part of reinforce .kl.; ",
        ),
        ("k-l", "KlPenalty(0.1, Rollouts(), TokenMean())", "unknown part of grpo 'k-l'; known: "),
        ("value", "ValueLoss(Gae(), 1.0, Rollouts(), TokenMean())", "trains a critic that no term reads"),
    ],
)
def test_a_term_that_cannot_be_added_is_refused_with_what_is_known(path, value, message):
    with pytest.raises(UsageError, match=message):
        swapped("grpo", (path, value))
