"""A policy small enough to train in tests: characters as tokens, random weights, ordinary files."""

import pyarrow
import pyarrow.parquet
import pytest
import torch

from tests.training.parquet import row
from training.config import EngineConfig, OptimizerConfig, TrainConfig
from training.critic import load_critic, load_critic_model
from training.critic_config import CriticConfig
from training.engine import Engine
from training.learner import Learner
from training.policy import ScoringPolicy, load_model, load_tokenizer

# Results are compared bitwise between processes: the number of threads decides the order of sums.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def policy_path(tmp_path_factory):
    from transformers import AddedToken, Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

    # For a Qwen2 model AutoTokenizer builds a Qwen2Tokenizer, which writes space and newline as Ġ and Ċ.
    characters = ["<pad>", "<eos>", "<user>", "<assistant>", "\\boxed{", *"0123456789+-=};abcdefghĠĊ.<>/tink"]
    vocabulary = {character: index for index, character in enumerate(characters)}
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=[],
        unk_token="<pad>",
        eos_token="<eos>",
        pad_token="<pad>",
        additional_special_tokens=["<user>", "<assistant>"],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.add_tokens([AddedToken("\\boxed{", normalized=False)])
    tokenizer.chat_template = (
        "{% for m in messages %}<user>{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(characters),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=True,
        eos_token_id=1,
        pad_token_id=0,
    )
    path = tmp_path_factory.mktemp("policy")
    Qwen2ForCausalLM(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return str(path)


@pytest.fixture
def tokenizer(policy_path):
    return load_tokenizer(policy_path)


@pytest.fixture
def make_engine(policy_path):
    """Return a builder of engines; each gets a policy of its own and is closed at the end."""
    engines = []

    def make(optimizer=None, temperature=1.0, **settings):
        optimizer = optimizer or OptimizerConfig(learning_rate=1e-3)
        model = load_model(policy_path, settings.get("precision", "fp32"))
        engines.append(Engine(ScoringPolicy(model, temperature), EngineConfig(**settings), optimizer))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def make_critic(policy_path):
    """Return a builder of critics' engines; each gets a critic of its own and is closed at the end."""
    engines = []

    def make(critic=None, optimizer=None, **settings):
        critic, optimizer = critic or CriticConfig(), optimizer or OptimizerConfig()
        config = TrainConfig(engine=EngineConfig(**settings), optimizer=optimizer, critic=critic)
        engines.append(load_critic(policy_path, config))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture(scope="session")
def critic_path(policy_path, tmp_path_factory):
    """A critic on disk whose values are not all 0."""
    critic = load_critic_model(policy_path, "fp32").model
    torch.nn.init.normal_(critic.score.weight, std=0.3, generator=torch.Generator().manual_seed(3))
    path = tmp_path_factory.mktemp("critic")
    critic.save_pretrained(path)
    return str(path)


@pytest.fixture
def make_actor_critic(make_engine, make_critic):
    """Return a builder of learners with a critic, two updates a batch; the policy's clip is 0.05."""

    def make(critic, stage=0, updates=2, **settings):
        settings |= {"zero_stage": stage, "micro_batch_tokens": 64, "gradient_clip": 0.05}
        config = TrainConfig(
            questions_per_step=4, updates_per_step=updates, engine=EngineConfig(**settings), critic=critic
        )
        return Learner(make_engine(**settings), config, critic=make_critic(critic, **settings))

    return make


@pytest.fixture
def write(tmp_path):
    """Return a writer of parquet files that returns their path; without rows it writes an empty table."""

    def write(*rows, name="train.parquet", columns=None):
        table = pyarrow.Table.from_pylist(list(rows) or [row(0)])
        if not rows:
            table = table.slice(0, 0)
        pyarrow.parquet.write_table(table.select(columns or table.column_names), tmp_path / name)
        return str(tmp_path / name)

    return write
