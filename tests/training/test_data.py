"""Training questions from parquet files: what is read, and what is refused before anything else."""

import logging

import pytest

from tests.training.parquet import row
from training.config import RolloutConfig, TrainConfig
from training.data import load_questions
from training.question_order import questions_of_step
from training.tokens import decode


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
    assert [question.id for question in questions] == [0, 1]
    assert [question.answer for question in questions] == ["15", "15"]


def test_rows_that_share_an_index_are_questions_of_their_own(write, tokenizer):
    questions = load_questions(write(row(4), row(4, "7-2=")), tokenizer, config())
    assert len({question.id for question in questions}) == 2


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


def test_too_few_questions_are_refused(write, tokenizer):
    with pytest.raises(ValueError, match=r"1 questions are fewer than train\.questions_per_step=2"):
        load_questions(write(row(0), row(1, "1+" * 30)), tokenizer, config())


def test_bad_rows_are_refused_before_a_tokenizer_is_used(write):
    with pytest.raises(ValueError, match="row 1"):
        load_questions(write(row(0), row(1, answer=None)), None, config())


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
