"""Random cases of the released code's losses and training step, as parameters and lists."""

import random

from hypothesis import strategies as st

OFF = ("no_reshape", "p_div_p_0.1", "p_div_p_0.37", "logp", "p_logp", "square_root", "pow")
ON = ("no_reshape", "p_div_p_0.1", "p_div_p_0.5", "logp", "p_logp", "square_root", "pow")
ROWS_ESTIMATORS = ("grpo", "grpo_split", "grpo_balance", "reinforce", "reinforce_plus_plus")
FUNCTIONS = ("sft", "policy_loss", "ppo_gae", "on_off", "on_off_mask", "on_off_weight", "srft_rl_only")
STEPS = {
    "hpt": "sft",
    "luffy": "off_policy",
    "hpt_off_on": "off_policy",
    "hpt_mix_on": "switch_off_sft",
    "hpt_off_sft": "off_sft",
    "srft": "srft",
    "grpo": "none",
}


def numbers(low, high):
    """Draw a number of few digits."""
    return st.floats(low, high).map(lambda value: round(value, 3))


@st.composite
def estimators(draw):
    """Draw an advantage estimator and its options."""
    name = draw(st.sampled_from(ROWS_ESTIMATORS))
    found = {"adv_estimator": name, "use_std": draw(st.booleans()), "epsilon": 1e-6}
    return found | ({"gamma": draw(numbers(0.5, 1.0))} if name == "reinforce_plus_plus" else {})


@st.composite
def losses(draw, clip):
    """Draw the options of the losses; `clip` is what ε is called."""
    return {
        clip: draw(st.sampled_from((0.1, 0.2, 0.4))),
        "clip_upper_bound": draw(st.sampled_from((1.0, 1.28, 2.0))),
        "loss_remove_token_mean": draw(st.booleans()),
        "loss_remove_clip": draw(st.booleans()),
        "off_cliprange": 0.2,
        "off_max_clip": draw(st.none() | numbers(0.3, 1.2)),
        "off_min_clip": draw(st.none() | numbers(-0.9, 0.6)),
        "all_max_clip": draw(st.none() | numbers(0.5, 1.0)),
        **draw(reshapes("off", OFF)),
        **draw(reshapes("on", ON)),
    }


@st.composite
def reshapes(draw, side, kinds):
    """Draw the options of one reshape."""
    name = f"{side}_policy_reshape"
    return {
        name: draw(st.sampled_from(kinds)),
        f"{name}_weight": draw(numbers(0.05, 1.5)),
        f"{name}_pow_exp": draw(numbers(0.1, 2.0)),
    }


@st.composite
def kl_terms(draw):
    """Draw the options of the KL term."""
    if not draw(st.booleans()):
        return {"use_kl_loss": False}
    kind = draw(st.sampled_from(("kl", "abs", "mse", "low_var_kl")))
    return {"use_kl_loss": True, "kl_loss_coef": draw(numbers(0.001, 1.0)), "kl_loss_type": kind}


@st.composite
def function_cases(draw):
    """Draw a case of one of the loss functions."""
    params = {
        "algorithm": draw(st.sampled_from(FUNCTIONS)),
        **draw(estimators()),
        **draw(losses("cliprange")),
    }
    kind = params["algorithm"]
    if kind == "sft":
        params = {"algorithm": kind}
    if kind == "ppo_gae":
        params |= {"adv_estimator": "gae", "gamma": draw(numbers(0.5, 1.0)), "lam": draw(numbers(0.0, 1.0))}
        params |= {"cliprange_value": draw(numbers(0.1, 1.0))}
    if kind in ("policy_loss", "ppo_gae"):
        unread = ("off_", "on_", "all_", "clip_upper")
        params = {name: value for name, value in params.items() if not name.startswith(unread)}
    params |= {"off_loss_coef": draw(numbers(0.1, 2.0))} if kind == "on_off_weight" else {}
    params |= {"srft_type": draw(SRFT)} if kind == "srft_rl_only" else {}
    return params, draw(st.integers(0, 2**32 - 1))


SRFT = st.sampled_from(("paper", "exp", "classic_rl", "minus_old"))


@st.composite
def step_cases(draw):
    """Draw a case of the training step."""
    label = draw(st.sampled_from(tuple(STEPS)))
    params = {
        "algorithm": label,
        "offline_loss_type": STEPS[label],
        "sft_loss_coef": draw(numbers(0.1, 2.0)),
        "entropy_coeff": draw(st.sampled_from((0.0, 0.001, 0.1))),
        "use_ppo_kl_loss": draw(st.booleans()),
        "ppo_kl_loss_coef": draw(numbers(0.01, 1.0)),
        "off_loss_coef": draw(numbers(0.1, 2.0)),
        "srft_type": draw(SRFT),
        "micro_batching": draw(st.sampled_from(("none", "fixed", "dynamic"))),
        "gradient_accumulation_divisor": draw(st.sampled_from((1, 2, 3))),
        **draw(estimators()),
        **draw(losses("clip_ratio")),
        **draw(kl_terms()),
    }
    if draw(st.booleans()):  # the scripts' own options, which registered algorithms have built in
        params |= {"adv_estimator": "grpo", "use_std": label == "grpo", "off_policy_reshape": "p_div_p_0.1"}
        params |= {"on_policy_reshape": "no_reshape", "srft_type": "paper"}
        params |= {"off_max_clip": None, "off_min_clip": None, "all_max_clip": None}
        params |= dict.fromkeys(("loss_remove_clip", "loss_remove_token_mean"), label != "grpo")
    return params, draw(st.integers(0, 2**32 - 1))


def inputs_of(params, seed):
    """Return rows for a case: ragged, groups interleaved, probabilities from tiny to nearly 1."""
    rng = random.Random(seed)
    count, width = rng.randint(2, 8), rng.randint(2, 6)
    lengths = [width] + [rng.randint(1, width) for _ in range(count - 1)]
    logp = [[_logp(rng) for _ in range(width)] for _ in lengths]
    old = [[min(value + _moved(rng), -1e-6) for value in row] for row in logp]
    group = [rng.randint(0, count // 3) for _ in lengths]
    alone = rng.random() < 0.5
    demo = [int(params["algorithm"] not in ("ppo_gae",) and rng.random() < 0.35) for _ in lengths]
    if alone:
        group = [count + i if demo[i] else group[i] for i in range(count)]
    if params.get("adv_estimator") == "grpo_split":  # the released code fails on a group without rollouts
        demo = [int(flag and not _first(group, i)) for i, flag in enumerate(demo)]
    binary = rng.random() < 0.7
    rewards = [float(rng.random() < 0.5) if binary else round(rng.gauss(0, 1), 3) for _ in lengths]
    if rng.random() < 0.2:  # equal, and no binary fraction
        rewards = [1.0 if flag else 0.1 for flag in demo]
    mask = [[int(t < length) for t in range(width)] for length in lengths]
    found = {"logprobs": logp, "old_logprobs": old, "mask": mask, "rewards": rewards, "group": group}
    found |= {"is_demo": demo, "entropy": [[rng.expovariate(1.0) for _ in row] for row in mask]}
    found |= {"ref_logprobs": [[value + 2 * _moved(rng) for value in row] for row in logp]}
    if rng.random() < 0.2:
        found["target_probs"] = [[rng.random() for _ in row] for row in mask]
    if params["algorithm"] == "on_off_mask" or ("offline_loss_type" in params and rng.random() < 0.5):
        found["whether_off"] = [int(rng.random() < 0.5) for _ in demo]  # of rollouts it says nothing
    return found | (_values(rng, mask, rewards) if params["algorithm"] == "ppo_gae" else {})


def _first(group, i):
    """Return whether a row is the first of its group."""
    return group.index(group[i]) == i


def _logp(rng):
    return -rng.expovariate(0.4) if rng.random() < 0.6 else -rng.uniform(1e-4, 0.2)


def _moved(rng):
    return rng.choice((0.0, rng.gauss(0, 0.2), rng.gauss(0, 0.2), rng.choice((-5.0, 5.0))))


def _values(rng, mask, rewards):
    """Return what the critic adds to a case: values reach one token past the response."""
    longer = [[1, *row[:-1]] for row in mask]
    draw = lambda: [[rng.gauss(0, 1) for _ in row] for row in mask]  # noqa: E731
    values = [[v * m for v, m in zip(*pair, strict=True)] for pair in zip(draw(), longer, strict=True)]
    dense, tokens = rng.random() < 0.5, []
    for row, reward in zip(mask, rewards, strict=True):
        own = [rng.gauss(0, 0.3) if dense and inside else 0.0 for inside in row]
        own[sum(row) - 1] += reward
        tokens.append(own)
    return {"values": values, "vpreds": draw(), "value_mask": longer, "token_rewards": tokens}


def cells_of(params, count, seed):
    """Return the rows of each micro-batch."""
    rng, rows = random.Random(seed + 1), list(range(count))
    if params.get("micro_batching", "none") == "none":
        return [rows]
    if params["micro_batching"] == "dynamic":
        rng.shuffle(rows)
    size = rng.randint(1, count)
    return [rows[start : start + size] for start in range(0, count, size)]
