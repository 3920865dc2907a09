import dataclasses
import typing

import pytest

import core
from core import (
    AllOf,
    ClipMask,
    CurrentPolicy,
    Detached,
    Fixed,
    Gae,
    GroupRelative,
    KeepAll,
    KlPenalty,
    PolicyGradient,
    RolloutPlan,
    Rollouts,
    TableGate,
    ThresholdGate,
    TokenLikelihood,
    TruncatedImportance,
    UniformShare,
    Unit,
)
from core.checks import options
from core.protocols import (
    KINDS,
    Advantage,
    Aggregation,
    Denominator,
    Gate,
    Likelihood,
    LossTerm,
    Mask,
    RowWeight,
)
from studies.catalog import UsageError
from studies.configuring.expressions import files_in, read_part, write_part
from studies.configuring.kinds import HELD, PARTS, field_hints, makes

SAMPLES = {
    "Mask": ClipMask(0.1, 0.3),
    "Denominator": Detached(Unit()),
    "Advantage": GroupRelative("rollouts", False, 0.5),
    "Likelihood": TokenLikelihood(),
    "RowWeight": Rollouts(ThresholdGate(0.125, 0.5, 0.25)),
    "Aggregation": core.FixedLengthSum(7),
    "TokenChoice": core.SampledTokens(),
    "Gate": TableGate((0.0, 1.0), (1.0, 0.25)),
    "Schedule": core.Cosine(0.75, 0.25, 1.0, 0.5),
    "PrefixLength": UniformShare(Fixed(0.5)),
    "PolicyGradient": PolicyGradient(
        KeepAll(), CurrentPolicy(), GroupRelative(), likelihood=TokenLikelihood()
    ),
    "DemonstrationPrefix": core.DemonstrationPrefix(UniformShare(Fixed(0.5)), 2),
    "DynamicSampling": core.DynamicSampling(3),
    "Returns": Gae(0.5, 0.25),
}
NEEDED = {
    "AllOf": {"masks": (ClipMask(), KeepAll())},
    "BoundMask": {"low": 0.25, "high": 1.5},
    "ClampedLikelihood": {"likelihood": TokenLikelihood(), "low": -2.0, "high": 3.0},
}
"""Arguments of parts that do not take any value of each field for itself."""
NUMBERS = {float: (0.5, 0.25, 1.5, 3.0, -1.0), int: (3, 1), bool: (True, False), str: ("a 'word'", "b")}


def candidates(hint):
    """Return values of every kind that a field takes."""
    found = []
    for option in options(hint):
        inner = typing.get_args(option)
        if typing.get_origin(option) is typing.Literal:
            found += inner
        elif typing.get_origin(option) is tuple:
            found += [(each, each) for each in candidates(inner[0])[:1]]
        elif option is type(None):
            found.append(None)
        else:
            found += NUMBERS[option] if option in NUMBERS else [SAMPLES[option.__name__]]
    return found


def built(part):
    """Return instances of a part that have each value of each field at least once, where it takes it."""
    hints = field_hints(part)
    needed = NEEDED.get(part.__name__) or {
        each.name: candidates(hints[each.name])[0]
        for each in dataclasses.fields(part)
        if each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
    }
    found = [needed] + [{**needed, name: value} for name, hint in hints.items() for value in candidates(hint)]
    instances = []
    for arguments in found:
        try:
            instances.append(part(**arguments))
        except ValueError:
            assert arguments is not needed
    return instances


def test_every_dataclass_that_core_exports_is_a_part_or_holds_or_carries_them():
    exported = {name for name in core.__all__ if dataclasses.is_dataclass(getattr(core, name))}
    others = {"Algorithm", "Curriculum", "SideStep", "Stage", "StepPlan", "PolicyTokens", "TokenBatch"}
    assert exported - set(PARTS) == others


@pytest.mark.parametrize("name", PARTS)
def test_the_repr_of_every_part_reads_back_to_an_equal_part(name):
    instances = built(PARTS[name])
    for part in instances:
        kinds = [kind for kind in (*KINDS, *HELD, LossTerm) if makes(type(part), kind)]
        assert kinds
        for kind in kinds:
            again = read_part(repr(part), kind)
            assert again == part
            assert repr(again) == repr(part) == write_part(part)
    fields = field_hints(PARTS[name])
    varied = {
        each for each in fields for part in instances if getattr(part, each) != getattr(instances[0], each)
    }
    assert varied >= {each for each in fields if len(candidates(fields[each])) > 1}


@pytest.mark.parametrize(
    ("text", "hint", "part"),
    [
        ("KeepAll", Mask, KeepAll()),
        (" KeepAll ( ) ", Mask, KeepAll()),
        ("ClipMask(0.2)", Mask, ClipMask(0.2)),
        ("ClipMask(low=0.2, high=0.28)", Mask, ClipMask(0.2, 0.28)),
        ("ClipMask(high=1)", Mask, ClipMask(high=1.0)),
        ("Rollouts(ThresholdGate(0.125))", RowWeight, Rollouts(ThresholdGate(0.125))),
        ("Rollouts(None)", RowWeight, Rollouts()),
        ("Rollouts(ThresholdGate(-1))", RowWeight, Rollouts(ThresholdGate(-1.0))),
        (
            "AllOf((ClipMask(), TruncatedImportance(2.0)))",
            Mask,
            AllOf((ClipMask(), TruncatedImportance(2.0))),
        ),
        ("AllOf([ClipMask, KeepAll])", Mask, AllOf((ClipMask(), KeepAll()))),
        ("AnyOf((Rollouts,))", RowWeight, core.AnyOf((Rollouts(),))),
        ("GroupRelative(normalize_std=False)", Advantage, GroupRelative(normalize_std=False)),
        ("none", Gate | None, None),
        ("None", Gate | None, None),
        ("RolloutPlan", RolloutPlan, RolloutPlan()),
        ("0.25", float, 0.25),
        ("1", float, 1.0),
        ("k3", field_hints(KlPenalty)["estimator"], "k3"),
        ("'k3'", field_hints(KlPenalty)["estimator"], "k3"),
        ("0, 1", tuple[float, ...], (0.0, 1.0)),
        ("(0.5,)", tuple[float, ...], (0.5,)),
        ("true", bool, True),
        ("none", float | None, None),
        ("7", str, "7"),
    ],
)
def test_text_is_read_as_what_its_field_takes(text, hint, part):
    found = read_part(text, hint)
    assert found == part
    assert repr(found) == repr(part), "the record would depend on how it was written"
    assert read_part(write_part(found), hint) == part


@pytest.mark.parametrize(
    ("text", "hint", "message"),
    [
        ("ClipMsk(0.2)", Mask, r"unknown part 'ClipMsk'; did you mean ClipMask.*Mask \(AllOf, .*KeepAll"),
        (
            "Zebra",
            Denominator,
            r"unknown part 'Zebra'; taken here: Denominator \(BehaviorPolicy, ClippedRatio",
        ),
        ("CurrentPolicy", Mask, r"CurrentPolicy\(\) is no Mask: it is called with \(policy, batch\)"),
        ("Rollouts()", Advantage, "is no Advantage: it returns"),
        ("TokenMean()", Denominator, "is no Denominator"),
        ("KeepAll()", Likelihood, "is no Likelihood: it lacks pull_back; taken here: Likelihood"),
        ("AllOf((ClipMask(), Foo()))", Mask, r"AllOf.masks: unknown part 'Foo'"),
        ("AllOf((ClipMask(), CurrentPolicy()))", Mask, r"AllOf.masks: CurrentPolicy\(\) is no Mask"),
        ("AllOf(KeepAll())", Mask, r"AllOf.masks: .*write \(first, second\), or \(only,\)"),
        ("Rollouts(ClipMask())", RowWeight, r"Rollouts.gate: .* is no Gate: it is called with .* or None"),
        ("ClipMask(lo=0.2)", Mask, "unknown field of ClipMask 'lo'; did you mean low"),
        ("ClipMask(0.1, 0.2, 0.3)", Mask, "too many positional arguments; its fields: low, high"),
        ("ClipMask(0.1, low=0.1)", Mask, "multiple values for argument 'low'"),
        ("AllOf()", Mask, "missing a required argument: 'masks'"),
        ("ClipMask(3)", Mask, r"ClipMask.low=3.0 must be a finite number in \[0.0, 1.0\]"),
        ("ClipMask('0.2')", Mask, "ClipMask.low: '0.2' is refused: input should be a valid number"),
        ("ClipMask(True)", Mask, "ClipMask.low: True is refused"),
        (
            "GroupRelative('everyone')",
            Advantage,
            "GroupRelative.members: 'everyone' is refused: input should be",
        ),
        ("GroupRelative(normalize_std=0)", Advantage, "normalize_std: 0 is refused"),
        ("FixedLengthSum(8.5)", Aggregation, "FixedLengthSum.length: 8.5 is refused"),
        ("TableGate((0.0, 'a'), (1.0,))", Gate, "TableGate.reinforce"),
        ("0.3", Mask, "0.3 is no Mask"),
        ("None", Mask, "None is no Mask"),
        ("abc", float, "input should be a valid number"),
        ("inf", float, "must be finite"),
        ("k9", field_hints(KlPenalty)["estimator"], "input should be 'k1', 'k2'"),
        ("ClipMask(", Mask, "cannot be read as a part: '\\(' was never closed"),
        ("", Mask, "cannot be read as a part"),
        ("(" * 2000 + ")" * 2000, Mask, "cannot be read as a part"),
        ("KeepAll\0", Mask, "cannot be read as a part"),
        ("ClipMask(*[0.1])", Mask, "written out"),
        ("ClipMask(**{'low': 0.1})", Mask, "written out"),
        ("ClipMask(low=1/8)", Mask, "1 / 8 is neither a literal nor a part"),
        ("Term", Mask, "missing a required argument"),
        ("Algorithm('a', ())", Mask, "unknown part 'Algorithm'"),
    ],
)
def test_text_that_is_no_part_is_refused_with_what_would_do(text, hint, message):
    with pytest.raises(UsageError, match=message):
        read_part(text, hint)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch {mark}')",
        "open('{mark}', 'w')",
        'exec(\'open("{mark}", "w")\')',
        "(lambda: open('{mark}', 'w'))()",
        "[open('{mark}', 'w') for _ in (1,)]",
        "ClipMask.__init__.__globals__",
        "ClipMask(low=open('{mark}', 'w'))",
        "KeepAll if open('{mark}', 'w') else KeepAll",
        "(KeepAll := open('{mark}', 'w'))",
        'f\'{{open("{mark}", "w")}}\'',
        "ClipMask(0.2).low",
        "AllOf((KeepAll(),))[0]",
    ],
)
@pytest.mark.parametrize("hint", [Mask, float, str | None, typing.Any])
def test_nothing_is_evaluated(tmp_path, text, hint):
    mark = tmp_path / "mark"
    try:
        found = read_part(text.format(mark=mark), hint)
    except UsageError:
        found = text
    assert isinstance(found, str)
    assert not mark.exists()


OWN = """
from dataclasses import dataclass

import torch

from core import ClipMask, GateWeights, ThresholdGate


@dataclass(frozen=True)
class Mine:
    share: float = 0.5
    inner: "Mask | None" = None
    mode: str = "soft"

    def __call__(self, ratio, advantage, policy, batch):
        return torch.full_like(ratio, self.share)


@dataclass
class Loose:
    def __call__(self, ratio, advantage, policy, batch):
        return ratio


class Bare:
    def __call__(self, ratio, advantage, policy, batch):
        return ratio


def my_gate(step) -> GateWeights:
    return ThresholdGate(0.25)(step)


def no_gate(step, more):
    return step


WORD = "word"
PAIR = (ClipMask(), "word")
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own parts.py"
    path.write_text(OWN)
    plain = tmp_path / "own.py"
    plain.write_text(OWN)
    return plain


@pytest.mark.parametrize("name", ["own.py", "own parts.py"])
def test_parts_of_a_users_own_file_are_read_and_written_with_their_file(own, name):
    path = own.parent / name
    reference = str(path) if " " not in name else f"'{path}'"
    mine = read_part(f"{reference}:Mine(0.25, mode='hard')", Mask)
    text = f"{reference}:Mine(share=0.25, inner=None, mode='hard')"
    assert write_part(mine) == text
    assert read_part(text, Mask) == mine
    assert read_part(f"{reference}:Mine", Mask) == type(mine)()
    both = read_part(f"AllOf((ClipMask(0.2), {reference}:Mine))", Mask)
    assert both.masks[1] == type(mine)()
    assert read_part(write_part(both), Mask) == both
    gate = read_part(f"Rollouts(gate={reference}:my_gate)", RowWeight).gate
    assert gate.__name__ == "my_gate"
    assert write_part(Rollouts(gate)) == f"Rollouts(gate={reference}:my_gate)"
    assert read_part(f"{reference}:my_gate", Gate | None) is gate
    assert files_in(write_part(both)) == files_in(write_part(Rollouts(gate))) == {str(path)}


def test_a_core_part_that_a_file_imports_is_the_cores(own):
    assert write_part(read_part(f"{own}:ClipMask(0.1)", Mask)) == "ClipMask(low=0.1, high=0.2)"


def test_strings_that_look_like_files_are_strings(own):
    mine = read_part(f"{own}:Mine(mode='a.py:b, \"c.py\":d')", Mask)
    assert mine.mode == 'a.py:b, "c.py":d'
    assert files_in(write_part(mine)) == {str(own)}
    assert read_part(write_part(mine), Mask) == mine


@pytest.mark.parametrize(
    ("text", "hint", "message"),
    [
        ("{own}:Mine(0.1)", Gate, "is no Gate: it is called with"),
        ("{own}:my_gate", Mask, r"is no Mask: it is called with \(step\)"),
        ("{own}:no_gate", Gate, r"is no Gate: it is called with \(step, more\)"),
        ("{own}:my_gate(0.3)", Gate, "my_gate is a function.*without parentheses"),
        ("{own}:Loose()", Mask, "Loose is no part: a part is a frozen dataclass"),
        ("{own}:Bare", Mask, "Bare is no part: a part is a frozen dataclass"),
        ("{own}:WORD", Mask, "'word' is no Mask"),
        ("AllOf({own}:PAIR)", Mask, "AllOf.masks: 'word' is no Mask"),
        ("{own}:Nothing()", Mask, "defines no Nothing"),
        ("{own}:Mine(sahre=0.1)", Mask, "unknown field of Mine 'sahre'; did you mean share"),
        ("{own}x.py:Mine()", Mask, "no such file"),
    ],
)
def test_what_is_no_part_of_a_users_own_is_refused(own, text, hint, message):
    with pytest.raises(UsageError, match=message):
        read_part(text.format(own=own), hint)


def test_relative_files_start_in_the_first_folder_that_has_them(own, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "own.py").write_text(OWN.replace("0.5", "0.75"))
    assert read_part("own.py:Mine", Mask, (other, tmp_path)).share == 0.75
    assert read_part("own.py:Mine", Mask, (tmp_path, other)).share == 0.5
    assert read_part("other/own.py:Mine", Mask, (other, tmp_path)).share == 0.75
    with pytest.raises(UsageError, match="no such file"):
        read_part("own.py:Mine", Mask)


def inner_class():
    @dataclasses.dataclass(frozen=True)
    class Inner:
        def __call__(self, ratio, advantage, policy, batch):
            return ratio

    return Inner()


@dataclasses.dataclass(frozen=True)
class Rebound:
    def __call__(self, ratio, advantage, policy, batch):
        return ratio


REBOUND = Rebound()


@dataclasses.dataclass(frozen=True)
class Rebound:
    factor: float = 2.0

    def __call__(self, ratio, advantage, policy, batch):
        return self.factor * ratio


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (ThresholdGate(0.5).__call__, "cannot be recorded"),
        (lambda step: step, "top of a file"),
        (inner_class(), "top of a file"),
        (REBOUND, "is not what .* defines under that name"),
        (float("inf"), "cannot be recorded"),
        ((KeepAll(), {"gate": 1}), "cannot be recorded"),
        (ClipMask, "cannot be recorded"),
        (
            core.SideStep(core.Algorithm("a", (PARTS["EntropyBonus"](1.0, Rollouts(), core.TokenMean()),))),
            "exports",
        ),
    ],
)
def test_what_no_text_can_say_is_refused(part, message):
    with pytest.raises(UsageError, match=message):
        write_part(part)
