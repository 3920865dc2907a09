"""The critic's values against a plain forward of every row alone, and where its weights come from."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.utils import logging

from tests.training.actor_critic import row_values
from tests.training.rows import ragged_rows
from training.config import EngineConfig, OptimizerConfig, TrainConfig
from training.critic import load_critic, load_critic_model
from training.critic_config import CriticConfig
from training.policy import load_model
from training.responses import collate

ROWS = ragged_rows()
CPU = torch.device("cpu")


@pytest.fixture
def critic(policy_path):
    """A critic whose values are not all 0."""
    critic = load_critic_model(policy_path, "fp32")
    torch.nn.init.normal_(critic.model.score.weight, generator=torch.Generator().manual_seed(1))
    torch.nn.init.constant_(critic.model.score.bias, 0.25)
    return critic


def test_values_stand_before_their_token_whatever_the_padding(critic):
    values = critic(collate(ROWS, CPU))
    body, head = critic.model.model, critic.model.score
    for index, row in enumerate(ROWS):
        expected = row_values(critic.model, row)
        assert torch.allclose(values[index, : len(row.tokens)], expected, atol=1e-5)
        # The first value has seen the prompt and nothing else.
        hidden = body(input_ids=torch.tensor([row.prompt])).last_hidden_state[0, -1]
        assert values[index, 0].item() == pytest.approx(head(hidden).item(), abs=1e-5)


def test_values_do_not_see_the_token_they_stand_before(critic):
    row = ROWS[2]
    inputs = collate([row], CPU)
    before = critic(inputs)
    inputs.input_ids[0, len(row.prompt) + 3] = 7 if row.tokens[3] != 7 else 8
    changed = critic(inputs) != before
    assert not changed[0, :4].any()
    assert changed[0, 4]


def test_a_fresh_critic_has_the_policys_body_and_a_head_of_zeros(policy_path):
    critic, policy = load_critic_model(policy_path, "fp32"), load_model(policy_path, "fp32")
    expected = dict(policy.model.named_parameters())
    found = dict(critic.model.model.named_parameters())
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert not critic(collate(ROWS, CPU)).any()


def test_a_critic_on_disk_keeps_its_head(critic, tmp_path):
    critic.model.save_pretrained(tmp_path)
    inputs = collate(ROWS, CPU)
    assert torch.equal(load_critic_model(str(tmp_path), "fp32")(inputs), critic(inputs))


def test_a_head_without_bias_is_given_one_of_zero(critic, tmp_path):
    critic.model.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["score.bias"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    inputs = collate(ROWS, CPU)
    found = load_critic_model(str(tmp_path), "fp32")(inputs)
    assert torch.allclose(found, critic(inputs) - 0.25, atol=1e-6)


def test_a_body_with_missing_weights_is_refused(critic, tmp_path):
    critic.model.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["model.norm.weight"], weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks model\.layers\.1\.mlp\.up_proj\.weight and 1 more"):
        load_critic_model(str(tmp_path), "fp32")


def test_loading_says_nothing_of_the_missing_head_and_leaves_the_log_as_it_was(policy_path, caplog):
    logging.set_verbosity_info()
    try:
        load_critic_model(policy_path, "fp32")
        assert logging.get_verbosity() == logging.INFO
    finally:
        logging.set_verbosity_warning()
    assert "MISSING" not in caplog.text


def test_bf16_values_are_handed_out_in_fp32(policy_path):
    critic = load_critic_model(policy_path, "bf16")
    assert critic.model.dtype == torch.bfloat16
    assert critic(collate(ROWS, CPU)).dtype == torch.float32


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("stage", [0, 3])
def test_a_critic_is_trained_without_dropout(critic, tmp_path, checkpointing, stage):
    critic.model.config.classifier_dropout = critic.model.config.attention_dropout = 0.5
    critic.model.save_pretrained(tmp_path)
    settings = EngineConfig(zero_stage=stage, gradient_checkpointing=checkpointing)
    engine = load_critic(str(tmp_path), TrainConfig(engine=settings))
    inputs = collate(ROWS, CPU)
    assert engine.module.model.dropout.p == (0.0 if checkpointing else 0.5)
    assert torch.equal(engine.score(inputs), engine.score(inputs))
    assert torch.allclose(engine.score(inputs), critic(inputs), atol=1e-5)
    engine.close()


def test_gradient_checkpointing_recomputes_layers_and_changes_no_gradient(policy_path):
    calls, gradients = [], []
    for checkpointing in (False, True):
        critic = load_critic_model(policy_path, "fp32", gradient_checkpointing=checkpointing)
        torch.nn.init.ones_(critic.model.score.weight)
        seen = []
        critic.model.model.layers[0].register_forward_pre_hook(lambda *_, seen=seen: seen.append(1))
        critic(collate(ROWS, CPU)).square().sum().backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in critic.parameters()]))
        calls.append(len(seen))
    assert calls == [1, 2]
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-5, atol=1e-5)


def test_the_critics_engine_has_its_own_clip_and_never_skips(policy_path):
    config = TrainConfig(
        engine=EngineConfig(zero_stage=2, gradient_clip=None, skip_norm_above=80.0, micro_batch_tokens=77),
        optimizer=OptimizerConfig(learning_rate=3e-6, betas=(0.8, 0.9), weight_decay=0.2),
        critic=CriticConfig(learning_rate=2e-5, gradient_clip=0.5),
    )
    engine = load_critic(policy_path, config)
    assert engine.config == EngineConfig(zero_stage=2, gradient_clip=0.5, micro_batch_tokens=77)
    (group,) = engine._optimizer.param_groups
    assert (group["lr"], group["betas"], group["weight_decay"]) == (2e-5, (0.8, 0.9), 0.2)
    engine.close()


def test_another_model_than_the_policy_can_be_named(policy_path, critic, tmp_path):
    critic.model.save_pretrained(tmp_path)
    engine = load_critic(policy_path, TrainConfig(critic=CriticConfig(model=str(tmp_path))))
    assert torch.equal(engine.score(collate(ROWS, CPU)), critic(collate(ROWS, CPU)))
    engine.close()
