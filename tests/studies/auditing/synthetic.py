"""Steps without an engine: their truth, and what an engine would reveal that applied given coefficients."""

import torch

from studies.auditing.batch import token_ids
from studies.auditing.bigram import initial_table
from studies.auditing.layout import layout_of
from studies.auditing.observation import Observation
from studies.auditing.probe import active_rows, schedule
from studies.auditing.truth import Truth, audited_algorithm


def make_truths(case="4", ranks=2, clip=1.0):
    """Return the steps of a case, the clip binding in the first and every other one."""
    plan = schedule(case, ranks)
    table = initial_table(token_ids(plan.steps[0]))
    truths = []
    for number, rows in enumerate(plan.steps):
        layout = layout_of(rows, active_rows(rows), plan.budget, ranks)
        plain = Truth(rows, table + number / 16, audited_algorithm(), layout, None)
        wanted = (16.0 if number % 2 == 0 else 0.5) * (clip or 1.0)
        scale = wanted / plain.norm(plain.coefficient)
        truths.append(Truth(rows, plain.table, audited_algorithm(scale), layout, clip))
    return truths


def seen(truth, coefficient=None, norm=None, residual=0.0, stray=0.0, applied=True):
    """Return what is seen of a step; without arguments, of a right one."""
    return Observation(
        truth=truth,
        coefficient=truth.applied if coefficient is None else coefficient,
        residual=residual,
        stray=stray,
        norm=truth.norm(truth.coefficient) if norm is None else norm,
        applied=applied,
        resolution=torch.zeros_like(truth.applied),
    )


def predicted(fault, variant, truths):
    """Return the steps as a fault would have them; those that it can't show in are right."""
    steps = []
    for truth in truths:
        found = {each.variant: each for each in fault.predict(seen(truth), steps[-1] if steps else None)}
        if variant in found:
            norm = found[variant].norm
            steps.append(seen(truth, found[variant].coefficient, norm, found[variant].residual))
        else:
            steps.append(seen(truth))
    return steps


def noise(truth, size, seed=0):
    """Return random numbers for each token, at most `size` of the step's largest coefficient."""
    draw = torch.rand(len(truth.coefficient), generator=torch.Generator().manual_seed(seed)).double()
    return (2 * draw - 1) * size * truth.applied.abs().max()
