"""Levels of difficulty go from the training file to what each step records of its questions."""

from algorithms import grpo, sft
from tests.training.parquet import row
from tests.training.scripted import Oracle, digit, scripted_sources
from training.config import RolloutConfig, TrainConfig
from training.data import Question, load_questions
from training.experience import Experience, RunState
from training.stages import moment


def leveled(index, level):
    made = row(index)
    return made | {"extra_info": made["extra_info"] | {"level": level}}


def test_a_question_has_the_level_that_its_row_tells_or_else_its_source(write, tokenizer):
    rollout = RolloutConfig(max_prompt_tokens=40, max_response_tokens=50)
    config = TrainConfig(questions_per_step=2, updates_per_step=1, rollout=rollout)
    questions = load_questions(write(leveled(0, "3"), leveled(1, "5"), leveled(2, None)), tokenizer, config)
    assert [question.level for question in questions] == ["3", "5", "synthetic"]


def lesson(algorithm, tokenizer, levels):
    questions = [Question(i, (2, digit(i), 3), (6, 1), str(i), levels.get(i)) for i in range(4)]
    experience = Experience(questions, scripted_sources(Oracle({}), tokenizer), 2, seed=5)
    return experience.gather(moment(algorithm, 0, 10), RunState())


def test_a_step_records_the_levels_of_the_questions_it_samples_answers_to(tokenizer):
    metrics = lesson(grpo(), tokenizer, {0: "3", 1: "4", 2: "5", 3: "6"}).metrics
    asked = [question for question, _ in metrics["rollout/solve_rates"]]
    assert len(asked) == 2
    assert metrics["rollout/levels"] == [[question, str(question + 3)] for question in asked]


def test_without_levels_or_without_samples_none_are_recorded(tokenizer):
    assert "rollout/levels" not in lesson(grpo(), tokenizer, {}).metrics
    assert "rollout/levels" not in lesson(sft(), tokenizer, {0: "3", 1: "4", 2: "5", 3: "6"}).metrics
