"""What cannot be compared is refused, with its reason and the way out."""

from dataclasses import replace

import pytest

from evaluation.comparing.methods import ComparisonError, named_folders, read_method, read_methods
from evaluation.comparing.pairing import pair
from evaluation.config import EvalConfig
from evaluation.records import (
    Evaluation,
    SuiteInfo,
    answers,
    read_header,
    write_evaluation,
    write_header,
)
from tests.evaluation.comparing.planted import Planted

WORDS = {"add": "c w c", "sub": "c w"}


def method(tmp_path, name, *runs):
    return read_method(name, [run.write(tmp_path / f"{name}{number}") for number, run in enumerate(runs)])


def paired(tmp_path, first, second, **options):
    return pair(method(tmp_path, "A", first), method(tmp_path, "B", second), **options)


SHORT = {"add": "c w", "sub": "c w"}
REFUSED = {
    r"B and A were asked 1 of 3 questions of add with different prompts, such as add-1; "
    r".*--template.*--option-seed": Planted(WORDS, prompts={"add-1": "?"}),
    r"different questions in sub \(data f00000000000 and sub000000000\).*--data": Planted(
        WORDS, data={"sub": "f00"}
    ),
    r"different questions in add, such as add-2": Planted(SHORT),
    r"add in versions 2 and 1 of its task; evaluate again": Planted(WORDS, versions={"add": "2"}),
    r"different graders: grader 1 \(A\), grader 2 \(B\); grade": Planted(WORDS, grader="grader 2"),
    r"no suite is in all of them: A has add, sub; B has mul; .*--suite": Planted({"mul": "c w"}),
    r"protocols: temperature 0.6 \(A\), 1.0 \(B\)\. .* \(--temperature\), or say --despite-protocol": Planted(
        WORDS, protocol={"temperature": 1.0}
    ),
    r"top_p 0.95 \(A\), 1.0 \(B\).*\(--top-p\)": Planted(WORDS, protocol={"top_p": 1.0}),
    r"max_response_tokens 8192 .*\(--max-tokens\)": Planted(WORDS, protocol={"max_response_tokens": 9}),
    r"limit None \(A\), 2 \(B\).*\(--limit\)": Planted(SHORT, protocol={"limit": 2}),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_differs_and_must_not(tmp_path, reason):
    with pytest.raises(ComparisonError, match=reason):
        paired(tmp_path, Planted(WORDS), REFUSED[reason])


def test_what_may_differ(tmp_path):
    other = Planted(
        {"add": "cc ww cw", "sub": "cw cw"},
        policy={"backend": "vllm"},
        protocol={"samples": 2, "batch_size": 1},
    )
    found = paired(tmp_path, Planted(WORDS), other)
    assert found.questions == {"add": ("add-0", "add-1", "add-2"), "sub": ("sub-0", "sub-1")}
    assert found.protocol == found.left_out == found.shortened == ()


def test_only_common_suites_are_compared_and_the_others_named(tmp_path):
    found = paired(tmp_path, Planted({"add": "c w", "sub": "c"}), Planted({"mul": "c", "add": "c w"}))
    assert list(found.questions) == ["add"]
    assert found.left_out == ("sub", "mul")


def test_another_task_version_of_a_suite_that_is_not_compared_is_nothing(tmp_path):
    found = paired(tmp_path, Planted({"add": "c"}), Planted({"mul": "c", "add": "c"}, versions={"mul": "9"}))
    assert list(found.questions) == ["add"]


def test_another_protocol_is_compared_when_that_is_asked_for(tmp_path):
    other = Planted(WORDS, protocol={"temperature": 1.0, "top_p": 1.0})
    found = paired(tmp_path, Planted(WORDS), other, despite_protocol=True)
    assert found.protocol == ("temperature 0.6 (A), 1.0 (B)", "top_p 0.95 (A), 1.0 (B)")


def test_under_different_limits_the_common_questions_are_compared(tmp_path):
    other = Planted({"add": "c w", "sub": "c w"}, protocol={"limit": 2})
    found = paired(tmp_path, Planted(WORDS), other, despite_protocol=True)
    assert found.questions["add"] == ("add-0", "add-1")
    assert found.shortened == ("add",)
    assert found.protocol == ("limit None (A), 2 (B)",)


def test_a_limit_that_leaves_all_questions_is_no_difference(tmp_path):
    assert paired(tmp_path, Planted(WORDS), Planted(WORDS, protocol={"limit": 3})).protocol == ()


def test_other_prompts_are_compared_only_when_told_to(tmp_path):
    other = Planted(WORDS, prompts={"add-0": "?"})
    with pytest.raises(
        ComparisonError, match=r"different prompts.*of other chat templates, say --despite-protocol"
    ):
        paired(tmp_path, Planted(WORDS), other)
    compared = paired(tmp_path / "again", Planted(WORDS), other, despite_protocol=True)
    assert any("1 of 3 questions of add with different prompts" in told for told in compared.protocol)


def test_every_seed_is_checked(tmp_path):
    first = method(tmp_path, "A", Planted(WORDS, seed=0), Planted(WORDS, seed=1))
    second = method(tmp_path, "B", Planted(WORDS, seed=0), Planted(WORDS, seed=1, prompts={"sub-0": "?"}))
    with pytest.raises(ComparisonError, match=r"B \(seed 1\) and A \(seed 0\) were asked 1 of 2"):
        pair(first, second)


@pytest.mark.parametrize(
    ("ours", "reason"),
    [
        ((0, 1), r"B has seeds 0, 1 and A 0, 1, 2: .*give seeds 0, 1 of both"),
        ((1, 2, 3), r"B has seeds 1, 2, 3 .*give seeds 1, 2 of both"),
        ((5, 6), r"evaluate both with the same seeds \(--seed\)"),
        ((0,), r"give seeds 0 of both"),
    ],
)
def test_seeds_must_be_the_same(tmp_path, ours, reason):
    first = method(tmp_path, "A", *[Planted(WORDS, seed=seed) for seed in (0, 1, 2)])
    second = method(tmp_path, "B", *[Planted(WORDS, seed=seed) for seed in ours])
    with pytest.raises(ComparisonError, match=reason):
        pair(first, second)


def test_two_single_seeds_need_not_be_the_same(tmp_path):
    assert paired(tmp_path, Planted(WORDS, seed=0), Planted(WORDS, seed=7)).questions


def test_one_method_has_each_seed_once(tmp_path):
    with pytest.raises(
        ComparisonError, match=r"A: .*A0 and .*A1 both have seed 3\. .*--seed of its own.*--samples"
    ):
        method(tmp_path, "A", Planted(WORDS, seed=3), Planted(WORDS, seed=3))


def test_two_prompts_of_one_question_are_damage(tmp_path):
    folder = Planted({"add": "cc"}).write(tmp_path / "A")
    first, second = answers(folder)
    write_evaluation(folder, read_header(folder), [first, replace(second, prompt_sha256="1" * 64)])
    with pytest.raises(ComparisonError, match="add-0 of add was asked with two different prompts"):
        read_method("A", [folder])


def test_a_changed_record_is_refused(tmp_path):
    folder = Planted({"add": "cc"}).write(tmp_path / "A")
    path = folder / "samples.jsonl"
    path.write_text(path.read_text().replace("correct", "wrong"))
    with pytest.raises(ValueError, match="its checksum is not that in"):
        read_method("A", [folder])


def test_an_unfinished_or_missing_evaluation_is_refused(tmp_path):
    folder = tmp_path / "A"
    folder.mkdir()
    with pytest.raises(ComparisonError, match=r"eval.json is missing; name a folder that"):
        read_method("A", [folder])
    header = Evaluation(0, EvalConfig(suites=("add",)), {"add": SuiteInfo("1", 1, 1, None, "0" * 64)})
    write_header(folder, header)
    with pytest.raises(ValueError, match="not finished; run it again"):
        read_method("A", [folder])


def names(*arguments):
    return list(named_folders([str(argument) for argument in arguments]))


def test_folders_are_called_by_what_tells_them_apart(tmp_path):
    assert names(tmp_path / "qwen/paper-seed0", tmp_path / "hpt/paper-seed0") == ["qwen", "hpt"]
    assert names(tmp_path / "runs/grpo-seed0", tmp_path / "runs/hpt-seed0") == ["grpo-seed0", "hpt-seed0"]
    assert names(tmp_path / "a/x/0", tmp_path / "b/x/0", tmp_path / "b/y/0") == ["a/x", "b/x", "b/y"]
    assert names("base=a", tmp_path / "runs/hpt/") == ["base", "hpt"]


def test_seeds_are_given_at_once_or_one_by_one(tmp_path):
    found = named_folders(["base=a,b", "hpt=c", "hpt=d"])
    assert {name: [str(folder) for folder in folders] for name, folders in found.items()} == {
        "base": ["a", "b"],
        "hpt": ["c", "d"],
    }


def test_a_folder_may_have_an_equals_sign(tmp_path):
    folder = Planted(WORDS).write(tmp_path / "lr=1e-6")
    assert names(folder, "other=a") == ["lr=1e-6", "other"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["a=x", "b=x"], "x is there twice"),
        (["a=x,./x"], "x is there twice"),
        (["hpt=x", "runs/hpt"], "two methods are called hpt; give runs/hpt a name: NAME=runs/hpt"),
        (["=x", "b=y"], "'=x' is neither DIR nor NAME=DIR"),
        (["a=", "b=y"], "'a=' is neither DIR nor NAME=DIR"),
    ],
)
def test_names_that_say_nothing_are_refused(arguments, reason):
    with pytest.raises(ComparisonError, match=reason):
        named_folders(arguments)


def test_one_method_is_nothing_to_compare():
    with pytest.raises(ComparisonError, match="nothing to compare a with"):
        read_methods(["a=x,y"])
