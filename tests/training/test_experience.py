"""What steps train on: the order of questions, and side steps on those that failed."""

import dataclasses
import math

import pytest

from algorithms import grpo, sft
from algorithms.dapo import dapo
from core import Algorithm, Curriculum, DemonstrationPrefix, DynamicSampling, RolloutPlan, SideStep, Stage
from tests.training.scripted import Oracle, digit, scripted_sources
from training.data import Question
from training.experience import Experience, RunState, check_wishes
from training.question_order import questions_of_step
from training.stages import Moment, moment

NEVER = {}
GRPO, SFT = grpo(), sft()


def training_set(without=()):
    """Return ten questions, ids 0 to 9 backwards, some of them without demonstration."""
    return [Question(i, (2, digit(i), 3), None if i in without else (6, 1), str(i)) for i in range(9, -1, -1)]


def relift(questions=3, threshold=0.0, aside=SFT, main=GRPO):
    return dataclasses.replace(main, aside=SideStep(aside, threshold, questions))


class Run:
    """The steps of a run, without learning."""

    def __init__(self, algorithm, solved, tokenizer, questions=None, per_step=4):
        self.oracle, self.algorithm = Oracle(solved), algorithm
        self.state = RunState()
        self.questions = questions or training_set()
        sources = scripted_sources(self.oracle, tokenizer)
        self.experience = Experience(self.questions, sources, per_step, seed=5)

    def step(self, number, steps=100):
        return self.experience.gather(moment(self.algorithm, number, steps), self.state)

    def asked(self, number):
        """Return the ids of the questions that step `number` of a run without side steps asks."""
        return [self.questions[index].id for index in questions_of_step(10, 4, number, seed=5)]


def ids(lesson):
    return list(dict.fromkeys(row.question for row in lesson.batch.responses))


def test_steps_ask_questions_in_their_order(tokenizer):
    run = Run(grpo(), NEVER, tokenizer)
    for number in range(5):
        lesson = run.step(number)
        assert ids(lesson) == run.asked(number)
        assert lesson.algorithm is run.algorithm
        assert "train/aside" not in lesson.metrics
    assert run.state == RunState()


def test_failed_questions_are_set_aside_until_there_are_enough(tokenizer):
    # One or both of each question's two rollouts are solved; 0, 2, 4, … fail.
    solved = {1: 1, 3: 2, 5: 1, 7: 1, 9: 2}
    expected = [
        each for number in (0, 1) for each in Run(GRPO, NEVER, tokenizer).asked(number) if each % 2 == 0
    ]
    run = Run(relift(len(expected)), solved, tokenizer)
    for number in range(2):
        lesson = run.step(number)
        assert lesson.algorithm is run.algorithm
        waiting = len(run.state.buffer)
        assert run.state.buffer == expected[:waiting]
        assert (lesson.metrics["train/aside"], lesson.metrics["train/buffer"]) == (0, waiting)
    rounds = len(run.oracle.asked)
    lesson = run.step(2)
    assert lesson.algorithm == SFT
    assert ids(lesson) == expected
    assert all(row.is_demonstration for row in lesson.batch.responses)
    assert len(run.oracle.asked) == rounds, "nothing is sampled"
    assert (lesson.metrics["train/aside"], lesson.metrics["train/buffer"]) == (1, 0)
    assert lesson.metrics["rollout/solve_rate"] is None
    assert run.state == RunState(asides=1)


def test_the_oldest_go_first_and_the_others_stay(tokenizer):
    run = Run(relift(questions=3), NEVER, tokenizer)
    run.step(0)
    first = run.asked(0)
    assert ids(run.step(1)) == first[:3]
    assert run.state.buffer == first[3:]


def test_side_steps_follow_each_other_while_enough_are_waiting(tokenizer):
    run = Run(relift(questions=2), NEVER, tokenizer)
    run.step(0)
    assert [run.step(number).metrics["train/aside"] for number in (1, 2, 3)] == [1, 1, 0]


def test_no_question_waits_twice(tokenizer):
    run = Run(relift(questions=10), NEVER, tokenizer, training_set(without=(0,)))
    steps = [run.step(number) for number in range(8)]
    assert set(run.asked(0)) & set(run.asked(2)), "the second epoch asks some again"
    assert sorted(run.state.buffer) == list(range(1, 10)), "each once, so that there are never ten"
    assert not any(lesson.metrics["train/aside"] for lesson in steps)


def test_a_side_step_takes_no_questions_out_of_an_epoch(tokenizer):
    run = Run(relift(questions=4), NEVER, tokenizer)
    mains = [lesson for lesson in map(run.step, range(8)) if lesson.algorithm is run.algorithm]
    assert len(mains) == 4
    assert [ids(lesson) for lesson in mains] == [run.asked(number) for number in range(4)]


def test_a_question_needs_a_demonstration_to_be_set_aside(tokenizer):
    run = Run(relift(questions=3), NEVER, tokenizer, training_set(without=(2, 4, 6, 8)))
    run.step(0)
    assert run.state.buffer == [each for each in run.asked(0) if each not in (2, 4, 6, 8)]


@pytest.mark.parametrize(("threshold", "waits"), [(0.0, {0}), (0.4, {0}), (0.5, {0, 1}), (1.0, {0, 1, 2})])
def test_a_question_waits_if_its_solve_rate_is_at_most_the_threshold(tokenizer, threshold, waits):
    questions = training_set()[-3:]
    run = Run(relift(3, threshold), {1: 1, 2: 2}, tokenizer, questions, per_step=3)
    run.step(0)
    assert set(run.state.buffer) == waits


def test_what_dynamic_sampling_drops_may_wait(tokenizer):
    run = Run(relift(8, main=dapo(rounds=1)), {1: 1, 3: 1, 5: 1, 7: 1}, tokenizer)
    lesson = run.step(0)
    sampled = {question for question, _ in lesson.metrics["rollout/solve_rates"]}
    assert set(run.state.buffer) == {each for each in sampled if each not in (1, 3, 5, 7)}
    assert not set(run.state.buffer) & set(ids(lesson))
    assert run.state.buffer


def test_a_side_step_samples_where_its_algorithm_needs_it(tokenizer):
    run = Run(relift(3, aside=dataclasses.replace(grpo(), name="again")), NEVER, tokenizer)
    run.step(0)
    first = run.asked(0)
    lesson = run.step(1)
    assert lesson.algorithm.name == "again"
    assert run.oracle.asked[-1][0] == [each for each in first[:3] for _ in range(2)]
    assert not any(row.is_demonstration for row in lesson.batch.responses)
    assert run.state.buffer == first[3:], "what fails in a side step does not come back by itself"


def test_every_step_samples_with_a_seed_of_its_own(tokenizer):
    run = Run(grpo(), NEVER, tokenizer)
    for number in range(4):
        run.step(number)
    assert len({seed for _, _, seed in run.oracle.asked}) == 4


def test_the_state_comes_back_as_it_was():
    memory = {"Gate(0.1)": {"7": 1 / 3, "8": 1e-300}, "Other()": {"mu": math.pi}}
    state = RunState(3, memory, [9, 2], 4)
    assert RunState.from_json(state.to_json()) == state
    assert RunState.from_json('{"skipped_steps": 3}') == RunState(3)


def test_a_stage_begins_without_what_the_one_before_remembers():
    state = RunState(3, {"Gate()": {"7": 1.0}}, [9, 2], 4)
    state.begin_stage()
    assert state == RunState(3, {}, [], 4)


def test_side_steps_of_side_steps_are_refused():
    nested = relift(aside=relift(aside=sft()))
    with pytest.raises(ValueError, match="'grpo' have side steps of their own"):
        check_wishes(nested, training_set(), 2)
    with pytest.raises(ValueError, match="'grpo' have side steps of their own"):
        check_wishes(Curriculum("c", (Stage(sft(), 0.5), Stage(nested, 0.5))), training_set(), 2)


def test_side_steps_that_cannot_come_are_refused():
    check_wishes(relift(6), training_set(without=(2, 4, 6, 8)), 2)
    with pytest.raises(ValueError, match=r"SideStep.questions=7 .* more than the 6 questions"):
        check_wishes(relift(7), training_set(without=(2, 4, 6, 8)), 2)
    with pytest.raises(ValueError, match="'sft' samples no rollouts"):
        check_wishes(relift(1, main=sft()), training_set(), 2)


def test_dynamic_sampling_of_single_rollouts_is_refused():
    check_wishes(dapo(), training_set(), 2)
    check_wishes(grpo(), training_set(), 1)
    for algorithm in (dapo(), relift(1, aside=dapo())):
        with pytest.raises(ValueError, match=r"'dapo' keeps .* rollout.samples=1"):
            check_wishes(algorithm, training_set(), 1)


def test_rollout_plans_get_the_stages_progress_and_the_whole_training_set(tokenizer):
    seen = []

    class Length:
        def __call__(self, draw, progress):
            seen.append(progress)
            return draw

    plan = RolloutPlan(DemonstrationPrefix(Length()), DynamicSampling(9))
    run = Run(Algorithm("begun", grpo().terms, plan), {7: 1}, tokenizer)
    lesson = run.experience.gather(Moment(3, run.algorithm, 0.75, begins_stage=False), run.state)
    assert set(seen) == {0.75}
    assert len(lesson.metrics["rollout/solve_rates"]) == 10
    assert lesson.metrics["rollout/prefix_rows"] > 0
    assert ids(lesson) == [7]
