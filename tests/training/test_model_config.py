"""What is changed of a model's configuration when it is loaded."""

import json
import math
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig

from tests.small_models import build_llama, build_qwen2
from training.critic import load_critic_model
from training.model_config import load_config, resolved_overrides
from training.policy import load_model, load_reference
from training.responses import Response, collate

LONGER = {"rope_theta": 40_000, "max_position_embeddings": 512}
ROW = Response(0, tuple(range(40, 60)), tuple(range(60, 90)), is_demonstration=False, reward=1.0)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Models as they lie on the hub; at most 64 positions, and weights that make positions tell."""
    folder = tmp_path_factory.mktemp("published")
    sizes = {"max_position_embeddings": 64, "initializer_range": 0.3}
    return {
        "qwen2": build_qwen2(folder / "qwen2", **sizes),
        "llama": build_llama(folder / "llama", **sizes),
    }


@pytest.fixture(scope="module", params=["published", "saved by transformers 5"])
def qwen2(request, published, tmp_path_factory):
    if request.param == "published":
        assert "rope_theta" in entries(published["qwen2"])
        return published["qwen2"]
    folder = tmp_path_factory.mktemp("saved")
    load_model(published["qwen2"], "fp32").save_pretrained(folder)
    assert "rope_theta" not in entries(folder)
    return str(folder)


def entries(folder):
    return json.loads((Path(folder) / "config.json").read_text())


def logits(model, length=50):
    ids = torch.arange(length)[None] % 250
    with torch.no_grad():
        return model(input_ids=ids).logits


def test_both_layouts_of_rope_theta_are_changed_and_the_logits_with_them(qwen2):
    config = load_config(qwen2, LONGER)
    assert config.rope_parameters == {"rope_theta": 40_000.0, "rope_type": "default"}
    assert config.max_position_embeddings == 512
    as_published, changed = load_model(qwen2, "fp32"), load_model(qwen2, "fp32", overrides=LONGER)
    assert as_published.config.rope_parameters["rope_theta"] == 10_000.0
    before, after = logits(as_published), logits(changed)
    # The first token attends to itself alone, so no rotation tells there.
    torch.testing.assert_close(before[:, 0], after[:, 0])
    assert (before[:, -1] - after[:, -1]).abs().max() > 0.1


def test_the_new_base_is_what_the_rotations_are_made_of(qwen2):
    rotary = load_model(qwen2, "fp32", overrides=LONGER).model.rotary_emb
    half = 16  # a head of 32
    expected = torch.tensor([40_000 ** (-index / half) for index in range(half)])
    torch.testing.assert_close(rotary.inv_freq, expected)


def test_positions_beyond_the_published_ones_are_as_good_as_any(qwen2):
    changed = logits(load_model(qwen2, "fp32", overrides=LONGER), length=200)
    assert torch.isfinite(changed).all()
    # Rotary positions depend on distances alone: the same tokens, all moved along, give the same.
    model = load_model(qwen2, "fp32", overrides=LONGER)
    ids, positions = torch.arange(50)[None] % 250, torch.arange(50)[None]
    with torch.no_grad():
        here = model(input_ids=ids, position_ids=positions).logits
        there = model(input_ids=ids, position_ids=positions + 300).logits
    torch.testing.assert_close(here, there, atol=2e-3, rtol=2e-3)


def test_what_is_saved_after_loading_holds_the_values(qwen2, tmp_path):
    changed = load_model(qwen2, "fp32", overrides=LONGER)
    changed.save_pretrained(tmp_path)
    saved = entries(tmp_path)
    assert (saved["rope_parameters"]["rope_theta"], saved["max_position_embeddings"]) == (40_000, 512)
    torch.testing.assert_close(logits(load_model(str(tmp_path), "fp32")), logits(changed))


def test_a_configuration_alone_can_be_saved_too(qwen2, tmp_path):
    load_config(qwen2, LONGER).save_pretrained(tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).rope_parameters["rope_theta"] == 40_000


def test_reference_and_critic_get_the_same(qwen2):
    inputs = collate([ROW], torch.device("cpu"))
    reference = load_reference(qwen2, "fp32", 1.0, LONGER)
    assert reference.model.config.rope_parameters["rope_theta"] == 40_000
    assert not torch.equal(reference(inputs).logp, load_reference(qwen2, "fp32", 1.0)(inputs).logp)
    critic = load_critic_model(qwen2, "fp32", overrides=LONGER)
    assert critic.model.config.rope_parameters["rope_theta"] == 40_000
    assert critic.model.config.num_labels == critic.model.score.out_features == 1


def test_other_rotary_parameters_stay_as_they_are(published):
    parameters = load_config(published["llama"], {"rope_theta": 1e6}).rope_parameters
    assert (parameters["rope_theta"], parameters["rope_type"], parameters["factor"]) == (1e6, "llama3", 8.0)
    assert load_config(published["llama"], {}).rope_parameters["rope_theta"] == 500_000


def test_vllm_is_told_attributes_that_transformers_5_has(qwen2):
    assert resolved_overrides(qwen2, LONGER) == {
        "rope_parameters": {"rope_theta": 40_000.0, "rope_type": "default"},
        "max_position_embeddings": 512,
    }
    assert resolved_overrides(qwen2, {}) == {}
    config = AutoConfig.from_pretrained(qwen2)
    config.update(resolved_overrides(qwen2, LONGER))
    assert config.to_dict() == load_config(qwen2, LONGER).to_dict()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"rope_tetha": 40_000}, "no entry 'rope_tetha'.*rope_theta"),
        ({"max_positions": 512}, "no entry 'max_positions'.*max_position_embeddings"),
        ({"dtype": "float16"}, "no entry 'dtype'"),
        ({"rope_theta": "40000"}, "rope_theta='40000' must be a finite number above 0"),
        ({"rope_theta": -1}, "rope_theta=-1 must be"),
        ({"rope_theta": math.inf}, "rope_theta=inf must be"),
        ({"rope_theta": True}, "rope_theta=True must be"),
        ({"max_position_embeddings": "many"}, "max_position_embeddings='many' is refused by .*int"),
    ],
)
def test_a_misspelt_entry_or_a_value_of_another_kind_is_refused(published, overrides, message):
    with pytest.raises(ValueError, match=f"(?s)policy_config.*{message}"):
        load_config(published["qwen2"], overrides)


def test_entries_that_leave_weights_out_are_refused(published):
    with pytest.raises(ValueError, match=r"leaves out model\.layers\.1.*change only entries that keep them"):
        load_model(published["qwen2"], "fp32", overrides={"num_hidden_layers": 1})
    with pytest.raises(ValueError, match=r"lacks model\.layers\.2"):
        load_model(published["llama"], "fp32", overrides={"num_hidden_layers": 3})
