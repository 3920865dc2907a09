"""What a part's fields may hold is checked by the parts themselves, without the tests' type checks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SET_UP = """
import json
import sys
from core import *
imitate = PolicyGradient(KeepAll(), CurrentPolicy(), Constant(), TokenLikelihood())
step = TokenMean()
for text in json.load(sys.stdin):
    try:
        eval(text)
        print("nothing")
    except (TypeError, ValueError) as error:
        print(f"{type(error).__name__}: {error}")
"""
REFUSED = {
    # parts that parts hold
    "Rollouts(GroupRelative())": "TypeError: Rollouts.gate=GroupRelative(members='rollouts', normalize_std",
    "Demonstrations(0.5)": "TypeError: Demonstrations.gate=0.5 is not one; a Gate is called with (step) an",
    "ScheduleGate(0.3)": "TypeError: ScheduleGate.schedule=0.3 is not one; a Schedule is called with (prog",
    "Until(KeepAll(), 0.5)": "TypeError: Until.schedule=KeepAll() is called with (ratio, advantage, policy",
    "Whitened(ClipMask())": "TypeError: Whitened.advantage=ClipMask(low=0.2, high=0.2) is called with (rat",
    "BatchScaled(None)": "TypeError: BatchScaled.advantage=None is not one; an Advantage is called with (s",
    "PenalizedByKl(Rollouts(), 0.1)": "TypeError: PenalizedByKl.advantage=Rollouts(gate=None) returns Floa",
    "ClippedReward(1.0, 0.0, 1.0)": "TypeError: ClippedReward.advantage=1.0 is not one; an Advantage is ca",
    "Solved(KeepAll())": "TypeError: Solved.rows=KeepAll() is called with (ratio, advantage, policy, batch",
    "EntropyWeighted(step)": "TypeError: EntropyWeighted.rows=TokenMean() is called with (selected, step);",
    "AnyOf((Rollouts(), TokenMean()))": "TypeError: AnyOf.choices[1]=TokenMean() is called with (selected",
    "AnyOf(Rollouts())": "TypeError: AnyOf.choices=Rollouts(gate=None) must be a tuple: (first, second), o",
    "AllOf((ClipMask(), 0.5))": "TypeError: AllOf.masks[1]=0.5 is not one; a Mask is called with (ratio, a",
    "TopCovariance(advantage=KeepAll())": "TypeError: TopCovariance.advantage=KeepAll() is called with (rat",
    "UniformShare(0.1)": "TypeError: UniformShare.low=0.1 is not one; a Schedule is called with (progress)",
    "BinomialChunks(0.1)": "TypeError: BinomialChunks.chance=0.1 is not one; a Schedule is called with (pr",
    "DemonstrationPrefix(Fixed(0.5))": "TypeError: DemonstrationPrefix.length=Fixed(value=0.5) is called w",
    "RolloutPlan(dynamic=3)": "TypeError: RolloutPlan.dynamic=3 is no DynamicSampling",
    "Detached(KeepAll())": "TypeError: Detached.denominator=KeepAll() is called with (ratio, advantage, po",
    "GacGate(ClipMask(), imitate, 0.5, Fixed(0.1))": "TypeError: GacGate.reinforce=ClipMask(low=0.2, high=0.",
    "GacGate(imitate, imitate, 0.5, 0.1)": "TypeError: GacGate.prior=0.1 is not one; a Schedule is called wi",
    "KlPenalty(1.0, Rollouts(), step, ratio=Unit())": "TypeError: KlPenalty.ratio=Unit() lacks pull_back; a ",
    "ValueLoss(Whitened(Gae()), 1.0, Rollouts(), step)": "TypeError: ValueLoss.returns=Whitened(advantage=Ga",
    "ValueLoss(PenalizedByKl(Constant(), 0.1), 1.0, Rollouts(), step)": "TypeError: ValueLoss.returns=Consta",
    "PolicyGradient(KeepAll, Unit(), Constant(), TokenLikelihood())": "is a class; write KeepAll(…) with its",
    "Term('a', KeepAll(), Rollouts(), step)": "TypeError: Term.estimator=KeepAll() is no PolicyGradient",
    "Algorithm('one', Term('a', imitate, Rollouts(), step))": "TypeError: Algorithm.terms=Term(name='a', e",
    "Algorithm('one', (imitate,))": "TypeError: Algorithm.terms[0]=PolicyGradient(mask=KeepAll(), denominato",
    "SideStep(imitate)": "TypeError: SideStep.algorithm=PolicyGradient(mask=KeepAll(), denominator=Current",
    "Stage(imitate, 0.5)": "TypeError: Stage.algorithm=PolicyGradient(mask=KeepAll(), denominator=CurrentP",
    "Curriculum('two', (imitate,))": "TypeError: Curriculum.stages[0]=PolicyGradient(mask=KeepAll(), denomin",
    # words
    "QuestionMean('max')": "ValueError: QuestionMean.within_row='max' must be 'sum' or 'mean'",
    # numbers
    "ThresholdGate(True)": "ValueError: ThresholdGate.threshold=True must be a finite number",
    "ClipMask('0.2')": "ValueError: ClipMask.low='0.2' must be a finite number in [0.0, 1.0]",
    "ClipMask(None)": "ValueError: ClipMask.low=None must be a finite number in [0.0, 1.0]",
    "FixedLengthSum(8.5)": "ValueError: FixedLengthSum.length=8.5 must be a whole number in [1.0, inf]",
    "DynamicSampling(2.0)": "ValueError: DynamicSampling.rounds=2.0 must be a whole number in [1, inf]",
    "DemonstrationPrefix(UniformShare(Fixed(0.5)), 1.5)": "ValueError: DemonstrationPrefix.rollouts=1.5 mu",
    "TableGate(('0', 1.0), (1.0, 0.0))": "ValueError: TableGate.reinforce=('0', 1.0) must be two or more fin",
    "TableGate([0.0, 1.0], (1.0, 0.0))": "TypeError: TableGate.reinforce=[0.0, 1.0] must be a tuple",
    "AnyOf(())": "ValueError: AnyOf.choices=() takes no rows, so that nothing is trained; give at least one",
}
ACCEPTED = (
    "Rollouts(lambda step: None)",
    "Rollouts(None)",
    "TopCovariance(advantage=None)",
    "ClipMask(0, 1)",
    "TableGate((0, 1), (1, 0))",
    "ValueLoss(PenalizedByKl(ClippedReward(Gae(), 0.0, 1.0), 0.1), 1.0, Rollouts(), step)",
)


@pytest.fixture(scope="module")
def said():
    texts = [*REFUSED, *ACCEPTED]
    done = subprocess.run(
        [sys.executable, "-c", SET_UP],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        cwd=PROJECT,
        check=True,
    )
    return dict(zip(texts, done.stdout.splitlines(), strict=True))


@pytest.mark.parametrize("text", REFUSED)
def test_a_field_is_refused_what_it_does_not_take(said, text):
    assert REFUSED[text] in said[text]


@pytest.mark.parametrize("text", ACCEPTED)
def test_a_field_holds_what_it_takes(said, text):
    assert said[text] == "nothing"
