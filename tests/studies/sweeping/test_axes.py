import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.catalog import UsageError
from studies.sweeping.axes import as_text, grid, probes, suggest
from studies.sweeping.axis_texts import read_axes

KEYS = st.from_regex(r"[a-z]{1,6}(\.[a-z*]{1,6}){0,2}", fullmatch=True)
REALS = st.floats(-1e6, 1e6, allow_nan=False, width=32)
WORDS = st.text(
    st.characters(codec="ascii", exclude_characters="'\"()[]{},\\", exclude_categories=["Cc"]), min_size=1
)


def read(text):
    return read_axes([text])[0]


@st.composite
def float_axes(draw):
    low, high = sorted(draw(st.lists(REALS, min_size=2, max_size=2)))
    if draw(st.booleans()):
        return f"float({abs(low) + 1}, {abs(low) + 1 + high - low}, log)"
    if draw(st.booleans()):
        step, count = draw(st.sampled_from([0.5, 0.25, 2.0])), draw(st.integers(0, 8))
        return f"float({int(low)}, {int(low) + count * step}, step={step})"
    return f"float({low}, {high})"


@st.composite
def integer_axes(draw):
    low, count, step = draw(st.integers(1, 99)), draw(st.integers(0, 9)), draw(st.integers(1, 5))
    return (
        f"int({low}, {low + count}, log)"
        if draw(st.booleans())
        else f"int({low},{low + count * step},step={step})"
    )


def choice_axes():
    parts = st.sampled_from(
        ["KeepAll()", "ClipMask(0.2, 0.3)", "own.py:Mask(low=(1, 2))", "Rollouts([1], {2: ','})"]
    )
    plain = WORDS.map(str.strip).filter(lambda word: word and "=" not in word)
    return st.lists(parts | plain, min_size=2, max_size=5, unique=True).map(
        lambda each: f"choice({', '.join(each)})"
    )


@given(KEYS, float_axes() | integer_axes() | choice_axes())
def test_an_axis_is_what_its_own_text_says(key, space):
    axis = read(f"{key}={space}")
    assert axis.key == key
    assert read(str(axis)) == axis


def test_choices_are_split_between_brackets_and_quotes_only():
    axis = read("""hpt.reinforce.mask=choice(KeepAll(), ClipMask(0.2, 0.3), 'a, b', "(", None)""")
    assert axis.extremes() == ["KeepAll()", "ClipMask(0.2, 0.3)", "a, b", "(", "None"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a", "must be KEY=float"),
        ("a=flaot(0, 1)", "did you mean float?"),
        ("a=float(0)", "needs low and high"),
        ("a=float(0, 1, 2)", "needs low and high"),
        ("a=float(1, 0)", "low"),
        ("a=float(0, 1, log)", "low"),
        ("a=float(0, inf)", "finite"),
        ("a=float(0, one)", "one"),
        ("a=float(0, 1, step=0.3)", "no whole number of steps"),
        ("a=int(0, 5, step=2)", "no whole number of steps"),
        ("a=int(0, 1.5)", "1.5"),
        ("a=choice(one)", "two or more different values"),
        ("a=choice(x, x)", "two or more different values"),
        ("a=choice(x, (y)", "do not close"),
        ("a=choice(x, y) when b=1", "only `if KEY=VALUE`"),
        ("a=float(0, 1) if b=1", "unknown axis before it 'b'"),
    ],
)
def test_what_cannot_be_an_axis_is_told_with_its_text(text, told):
    with pytest.raises(UsageError) as refusal:
        read_axes([text])
    assert str(refusal.value).startswith(f"--axis {text}: ")
    assert told in str(refusal.value)


def test_two_axes_of_one_key_are_refused():
    with pytest.raises(UsageError, match="is an axis already"):
        read_axes(["a=float(0, 1)", "a=int(0, 1)"])


CONDITIONAL = ["kind=choice(hard, soft)", "width=float(0.1, 0.3, step=0.1) if kind=soft", "n=int(1, 2)"]


def test_an_axis_with_a_condition_is_varied_where_it_holds_alone():
    axes = read_axes(CONDITIONAL)
    assert grid(axes) == [
        {"kind": "hard", "n": 1},
        {"kind": "hard", "n": 2},
        *[
            {"kind": "soft", "width": pytest.approx(width), "n": n}
            for width in (0.1, 0.2, 0.3)
            for n in (1, 2)
        ],
    ]
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    drawn = [suggest(axes, study.ask()) for _ in range(20)]
    assert {"width" in values for values in drawn} == {True, False}
    assert all(("width" in values) == (values["kind"] == "soft") for values in drawn)


@pytest.mark.parametrize("when", ["kind=sift", "n=1"])
def test_a_condition_that_can_never_hold_is_refused(when):
    with pytest.raises(UsageError, match=r"did you mean soft|is no choice"):
        read_axes(["kind=choice(hard, soft)", "n=int(1, 2)", f"width=float(0, 1) if {when}"])


def test_every_end_and_choice_is_probed_with_what_it_depends_on():
    tried = [(axis.key, values) for axis, values in probes(read_axes(CONDITIONAL))]
    assert ("width", {"kind": "soft", "width": 0.3, "n": 1}) in tried
    assert ("kind", {"kind": "soft", "width": 0.1, "n": 1}) in tried
    assert len(tried) == 6


def test_a_grid_of_an_axis_without_steps_is_refused():
    with pytest.raises(UsageError, match="a grid needs step="):
        grid(read_axes(["a=float(0, 1)"]))


def test_numbers_are_written_so_that_they_are_read_as_they_are():
    value = 0.1 + 0.2
    assert float(as_text(value)) == value
    assert as_text("KeepAll()") == "KeepAll()"
