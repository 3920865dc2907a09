"""The names under which a run records what an algorithm does, step by step."""

from __future__ import annotations

from core import Algorithm

ALWAYS = {
    "train/gradient_norm": "before clipping",
    "train/skipped_steps": "steps that were not applied, so far",
    "train/rows": "rows sent through the model",
    "train/tokens": "their response tokens",
    "policy/entropy": "mean over those tokens, in nats",
    "policy/ratio": "mean of π_θ/π_ref over trained tokens",
    "policy/masked_share": "mean of 1 − 1_stable over them",
    "data/rows": "rows that a term selects",
    "data/tokens": "their tokens",
    "data/offline_row_share": "demonstrations' share of the rows",
    "data/offline_token_share": "and of the tokens",
    "rollout/response_tokens": "mean length of a rollout; of a demonstration where nothing is sampled",
}
ROLLOUTS = {
    "rollout/solve_rate": "share of solved rollouts, mean over questions",
    "rollout/solve_rates": "the same, question by question",
    "rollout/levels": "difficulty, question by question, or where the question is from",
    "rollout/tokens": "tokens that were sampled",
    "rollout/entropy": "of the sampling policy, estimated from its samples, in nats",
    "rollout/truncated_share": "rollouts cut off at the longest length",
    "rollout/outcomes": "how the grader judged them",
}
CRITIC = {
    "critic/loss": "mean over updates",
    "critic/gradient_norm": "before clipping",
    "critic/explained_variance": "1 − Var(R − V)/Var(R) over tokens",
    "critic/value": "mean over tokens",
    "critic/return": "mean of what the values are trained towards",
}
REFERENCE = {"policy/kl_reference": "mean of log π_θ/π_reference over sampled tokens, in nats"}
PREFIX = {
    "rollout/prefix_share": "given tokens' share of all rollout tokens",
    "rollout/prefix_rows": "rollouts that were given some",
}
GREEDY = {"rollout/greedy_solve_rate": "share of questions that the greedy response solved"}
DYNAMIC = {
    "rollout/dynamic_rounds": "rounds of replacements",
    "rollout/dynamic_kept_share": "questions of mixed rewards, of all asked",
}
ASIDE = {"train/aside": "1 in a step of the side algorithm"}


def logged(algorithm: Algorithm) -> dict[str, str]:
    """Return the metrics of a step with an algorithm, each with its meaning."""
    needs = algorithm.needs
    names = {"train/loss": "sum of the terms' losses, as other libraries report them"}
    names |= {f"train/loss/{term.name}": "of this term" for term in algorithm.terms}
    names |= ALWAYS
    optional = (
        (ROLLOUTS, "rollouts" in needs),
        (CRITIC, "value" in needs),
        (REFERENCE, "reference_logp" in needs),
        (PREFIX, algorithm.rollouts.prefix is not None),
        (GREEDY, "greedy_reward" in needs),
        (DYNAMIC, algorithm.rollouts.dynamic is not None),
        (ASIDE, algorithm.aside is not None),
    )
    for more, there in optional:
        if there:
            names |= more
    return names
