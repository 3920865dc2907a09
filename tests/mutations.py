"""Wrong formulas, three or more for each family of parts: a file, what it says, and what is put instead."""

MASKS = [
    ("core/masks.py", "ratio > 1.0 + self.high", "ratio > 1.0 + 2.0 * self.high"),
    ("core/masks.py", "(~(above | below)).to", "(above | below).to"),
    ("core/masks.py", "(advantage < 0) & (ratio > self.dual)", "(advantage > 0) & (ratio > self.dual)"),
    ("core/masks.py", "ratio > min(high, self.delta)", "ratio > max(high, self.delta)"),
    ("core/soft_masks.py", "4.0 * excess.sigmoid() * (-excess).sigmoid()", "4.0 * excess.sigmoid()"),
    ("core/soft_masks.py", "policy.logp.exp() * -policy.logp.expm1()", "-policy.logp.expm1()"),
    ("core/corrections.py", "clamp(self.floor, self.cap)", "clamp(self.floor, 2.0 * self.cap)"),
    ("core/corrections.py", "(weight < self.low) | (weight > self.high), 0.0", "(weight < self.low), 0.0"),
    ("core/batch_masks.py", "quantile(rows, 1.0 - self.share)", "quantile(rows, self.share)"),
]
DENOMINATORS = [
    ("core/denominators.py", "+ math.log(0.75)", "+ math.log(0.5)"),
    ("core/moving_denominators.py", "(1.0 - self.alpha) * policy.logp", "self.alpha * policy.logp"),
    ("core/moving_denominators.py", "clamp(min=math.log(self.floor))", "clamp(max=math.log(self.floor))"),
    ("core/moving_denominators.py", "math.log(self.high)\n", "math.log(1.0 + self.high)\n"),
]
ADVANTAGES = [
    (
        "core/groups.py",
        "std = (group_sum(squares, group) / (size - 1)",
        "std = (group_sum(squares, group) / size",
    ),
    ("core/advantages.py", "alone = moments.size <= 1", "alone = moments.size < 1"),
    ("core/advantages.py", "moments.size / others.clamp(min=1)", "1.0"),
    ("core/advantages.py", "member * step.response_mask.sum(dim=1)", "member"),
    (
        "core/returns.py",
        "error = token_rewards(step) + self.gamma * following",
        "error = token_rewards(step) + following",
    ),
    ("core/returns.py", "step.response_mask, self.gamma * self.lam", "step.response_mask, self.lam"),
    ("core/groups.py", "squares.sum() / (size - 1)", "squares.sum() / size"),
]
LIKELIHOODS = [
    (
        "core/shaped_likelihoods.py",
        "weight * (math.log(self.gamma) - self._log_sum(log_ratio)).exp()",
        "weight",
    ),
    ("core/shaped_likelihoods.py", "batch.response_mask & ~(above | below)", "batch.response_mask"),
    ("core/reductions.py", "return row_sum(values, batch) / length", "return row_sum(values, batch)"),
    (
        "core/shaped_likelihoods.py",
        "(advantage < 0) & (log_ratio < -self.low)",
        "(advantage < 0) & (log_ratio < self.low)",
    ),
]
GATES = [
    ("core/gates.py", "known_solve_rate(step) > self.threshold", "known_solve_rate(step) >= self.threshold"),
    ("core/gates.py", "GateWeights(1.0 - imitate, imitate)", "GateWeights(imitate, 1.0 - imitate)"),
    (
        "core/soft_gates.py",
        "self.high if question in state else self.low",
        "self.low if question in state else self.high",
    ),
    (
        "core/soft_gates.py",
        "entries[below.long() + 1], place - below",
        "entries[below.long() + 1], 0.0 * place",
    ),
    ("core/soft_gates.py", "(self.sign * total / count.clamp(min=1)).exp()", "(self.sign * total).exp()"),
    (
        "core/schedules.py",
        "(self.start - self.end) * (1.0 + turned) / 2.0",
        "(self.start - self.end) * turned",
    ),
]
ROWS = [
    ("core/rows.py", "self.scale * (self.sign * mean).exp()", "self.scale * (-self.sign * mean).exp()"),
    ("core/rows.py", "torch.where(step.reward == 1.0, 0.0, self.rows(step))", "self.rows(step)"),
    ("core/rows.py", "torch.where(moments.std > 0, self.rows(step), 0.0)", "self.rows(step)"),
    ("core/tokens.py", "step.response_mask & ~step.prefix_mask", "step.response_mask"),
]
AGGREGATIONS = [
    ("core/aggregations.py", "torch.where(selected, tokens, 0).sum()", "tokens.sum()"),
    (
        "core/aggregations.py",
        "selected.sum() * step.response_mask.sum(dim=1), step",
        "step.response_mask.sum(dim=1), step",
    ),
    ("core/aggregations.py", "selected.sum() * self.length", "selected.sum()"),
]
ADDITIVE = [
    ("core/kl.py", "return Estimate(above + distance, -above)", "return Estimate(above + distance, above)"),
    (
        "core/kl.py",
        "return Estimate(distance.abs(), distance.sign())",
        "return Estimate(distance.abs(), torch.ones_like(distance))",
    ),
    ("core/kl.py", "_product(-weight, ratio * slope) + moved", "_product(-weight, ratio * slope)"),
    ("core/value_loss.py", "clipped.abs() <= error.abs()", "clipped.abs() >= 0"),
    ("core/value_loss.py", "-weight * error, 0.0", "-2.0 * weight * error, 0.0"),
]

FAMILIES = {
    "masks": MASKS,
    "denominators": DENOMINATORS,
    "advantages": ADVANTAGES,
    "likelihoods": LIKELIHOODS,
    "gates": GATES,
    "rows": ROWS,
    "aggregations": AGGREGATIONS,
    "additive terms": ADDITIVE,
}
