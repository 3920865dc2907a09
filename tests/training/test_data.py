"""Training questions from parquet files: what is read, and what is refused before anything else."""

import logging
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from training.config import RolloutConfig, TrainConfig
from training.data import check_train_file, load_questions, questions_of_step
from training.prompts import decode

SAMPLE = Path(__file__).parents[3] / "shared/training/train_sample_10.parquet"


def turn(role, content):
    return {"content": content, "role": role}


def row(index, question="12+3=", target="1+2;\\boxed{15}", answer="15", system="abc"):
    return {
        "data_source": "synthetic",
        "prompt": [turn("system", system), turn("user", question)],
        "target": None if target is None else [turn("assistant", target)],
        "ability": "math",
        "reward_model": {"ground_truth": answer, "style": "rule"},
        "extra_info": {"index": index, "split": "default"},
    }


@pytest.fixture
def write(tmp_path):
    def write(*rows, name="train.parquet", columns=None):
        table = pyarrow.Table.from_pylist(list(rows) or [row(0)])
        if not rows:
            table = table.slice(0, 0)
        pyarrow.parquet.write_table(table.select(columns or table.column_names), tmp_path / name)
        return str(tmp_path / name)

    return write


def config(limit=50, prompt=40, questions=2, template=None):
    rollout = RolloutConfig(max_prompt_tokens=prompt, max_response_tokens=limit)
    return TrainConfig(
        questions_per_step=questions, updates_per_step=1, prompt_template=template, rollout=rollout
    )


def text(tokenizer, ids):
    return decode(tokenizer, ids)


def test_a_prompt_is_rendered_without_its_system_turn(write, tokenizer):
    questions = load_questions(write(row(4), row(9, "7-2=")), tokenizer, config())
    assert [text(tokenizer, question.prompt) for question in questions] == [
        "<user>12+3=<assistant>",
        "<user>7-2=<assistant>",
    ]
    assert [question.id for question in questions] == [4, 9]
    assert [question.answer for question in questions] == ["15", "15"]


def test_a_named_template_takes_the_place_of_the_chat_template(write, tokenizer):
    question = load_questions(
        write(row(0)), tokenizer, config(template="question_answer", prompt=200, questions=1)
    )
    assert "<user>" not in text(tokenizer, question[0].prompt)
    tokenizer.chat_template = None
    with pytest.raises(ValueError, match="no chat template"):
        load_questions(write(row(0)), tokenizer, config(questions=1))


def demonstrations(source, tokenizer, limit=50):
    return [q.demonstration for q in load_questions(source, tokenizer, config(limit, questions=1))]


def test_a_demonstration_ends_with_end_of_sequence(write, tokenizer):
    (found,) = demonstrations(write(row(0, target="1+2")), tokenizer)
    assert text(tokenizer, found) == "1+2<eos>"


@pytest.mark.parametrize(("limit", "expected"), [(2, "1+"), (3, "1+2"), (4, "1+2<eos>"), (5, "1+2<eos>")])
def test_a_demonstration_is_cut_at_the_limit(write, tokenizer, limit, expected):
    (found,) = demonstrations(write(row(0, target="1+2")), tokenizer, limit)
    assert text(tokenizer, found) == expected


@pytest.mark.parametrize("target", [None, ""])
def test_a_row_without_a_target_has_no_demonstration(write, tokenizer, target):
    assert demonstrations(write(row(0, target=target), row(1)), tokenizer)[0] is None


@pytest.mark.parametrize(
    ("opening", "expected"), [("", "<think>\n1</think>\n<eos>"), ("<think>\n", "1</think>\n<eos>")]
)
def test_the_tag_a_prompt_opens_is_not_opened_again(write, tokenizer, opening, expected):
    tokenizer.chat_template = "<user>{{ messages[0].content }}<assistant>" + opening.replace("\n", "\\n")
    tokenizer.chat_template = tokenizer.chat_template.replace("\\n", "{{ '\\n' }}")
    (found,) = demonstrations(write(row(0, target="<think>\n1</think>\n")), tokenizer)
    assert text(tokenizer, found) == expected


def test_a_demonstration_the_tokenizer_cannot_write_is_refused(write, tokenizer):
    source = write(row(0), row(1, target="1+2€"))
    with pytest.raises(ValueError, match=r"train\.parquet: row 1, column 'target' reads back as"):
        load_questions(source, tokenizer, config())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("15", "15"),
        (" 15 ", "15"),
        (15, "15"),
        (0, "0"),
        (1.5, "1.5"),
        (["15"], "15"),
        (["1", "2"], ("1", "2")),
    ],
)
def test_answers_are_texts_or_several_texts(write, tokenizer, answer, expected):
    (question,) = load_questions(write(row(0, answer=answer)), tokenizer, config(questions=1))
    assert question.answer == expected


def test_prompts_that_are_too_long_are_left_out_and_counted(write, tokenizer, caplog):
    source = write(row(0), row(1, "1+" * 20), row(2), row(3, "1+" * 30))
    with caplog.at_level(logging.WARNING):
        questions = load_questions(source, tokenizer, config(prompt=12))
    assert [question.id for question in questions] == [0, 2]
    assert f"{source}: 2 prompts are longer than 12 tokens" in caplog.text


BAD_ROWS = {
    "null answer": (row(5, answer=None), r"row 1, column 'reward_model\.ground_truth' is null or empty"),
    "empty answer": (row(5, answer=" "), r"row 1, column 'reward_model\.ground_truth' is null or empty"),
    "empty prompt": (row(5, question=" "), r"row 1, column 'prompt' is empty"),
    "no user turn": ({**row(5), "prompt": [turn("system", "abc")]}, r"row 1, column 'prompt' is empty"),
    "null prompt": ({**row(5), "prompt": None}, r"row 1, column 'prompt' is empty"),
    "missing index": ({**row(5), "extra_info": {"split": "default"}}, r"row 1, column 'extra_info"),
    "null extra_info": ({**row(5), "extra_info": None}, r"row 1, column 'extra_info"),
    "null reward_model": ({**row(5), "reward_model": None}, r"row 1, column 'reward_model"),
    "repeated index": (row(4), r"row 1, column 'extra_info\.index' 4 is that of row 0 too"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_refused_naming_file_row_and_column(write, name):
    bad, message = BAD_ROWS[name]
    source = write(row(4), bad)
    with pytest.raises(ValueError, match=message) as caught:
        check_train_file(source)
    assert str(caught.value).startswith(source)


def test_an_answer_that_is_not_a_number_is_refused(write):
    with pytest.raises(ValueError, match=r"row 0, column 'reward_model\.ground_truth'"):
        check_train_file(write(row(0, answer=float("nan"))))


@pytest.mark.parametrize("column", ["prompt", "target", "reward_model", "extra_info"])
def test_a_missing_column_is_named(write, column):
    source = write(row(0), columns=[name for name in row(0) if name != column])
    with pytest.raises(ValueError, match=rf"train\.parquet: column '{column}' is missing"):
        check_train_file(source)


def test_files_that_hold_nothing_are_refused_by_name(write, tmp_path):
    with pytest.raises(ValueError, match=r"train\.parquet: holds no rows"):
        check_train_file(write())
    with pytest.raises(FileNotFoundError, match=r"nowhere\.parquet does not exist"):
        check_train_file(str(tmp_path / "nowhere.parquet"))
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ValueError, match=r"torn\.parquet"):
        check_train_file(str(tmp_path / "torn.parquet"))


def test_too_few_questions_are_refused(write, tokenizer):
    with pytest.raises(ValueError, match=r"1 questions are fewer than train\.questions_per_step=2"):
        load_questions(write(row(0), row(1, "1+" * 30)), tokenizer, config())


def test_bad_rows_are_refused_before_a_tokenizer_is_used(write):
    with pytest.raises(ValueError, match="row 1"):
        load_questions(write(row(0), row(1, answer=None)), None, config())


def test_a_file_is_checked_to_its_last_row(write):
    assert check_train_file(write(*[row(index) for index in range(7)])) == 7


def test_the_sample_of_the_published_schema_is_read():
    if not SAMPLE.is_file():
        pytest.skip(f"{SAMPLE} is not here")
    assert check_train_file(str(SAMPLE)) == 10


def test_every_epoch_asks_every_question_once_in_a_new_order():
    steps = [questions_of_step(12, 4, step, seed=5) for step in range(6)]
    epochs = [sum(steps[:3], ()), sum(steps[3:], ())]
    assert [sorted(epoch) for epoch in epochs] == [list(range(12))] * 2
    assert epochs[0] != epochs[1]
    assert epochs[0] != tuple(range(12))
    assert [questions_of_step(12, 4, step, seed=5) for step in range(6)] == steps
    assert questions_of_step(12, 4, 0, seed=6) != steps[0]


def test_the_rest_of_an_epoch_is_not_asked():
    steps = [questions_of_step(11, 4, step, seed=5) for step in range(2)]
    assert len(set(steps[0]) | set(steps[1])) == 8
    assert questions_of_step(11, 4, 2, seed=5) != questions_of_step(11, 4, 0, seed=5)
