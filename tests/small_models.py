"""Model directories in the hub's layout, as small as one likes: Qwen2.5-Math's and Llama-3.1's architecture.

What loaders read is as published: config.json with rope_theta at its top, a byte-level BPE in tokenizer.json,
the end-of-sequence and padding tokens, Qwen's chat template with its system prompt, Llama's missing template
and its beginning-of-sequence token that the tokenizer adds unless told not to. Weights are random, and there
are more embeddings than tokens, as in Qwen's.
"""

import json

import torch
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

TEXTS = (
    "Question:\nWhat is the sum of the first 20 positive odd integers?\n",
    "Please reason step by step, and put your final answer within \\boxed{}.\n",
    "Answer:\nLet's think step by step.",
    "<think>\nThe sum of the first $n$ odd integers is $n^2$.\n</think>\n\nSo it is \\[\n\\boxed{400}\n\\]",
)
SYSTEM_PROMPT = "Please reason step by step, and put your final answer within \\boxed{}."
QWEN_TEMPLATE = (
    "{%- if messages[0].role != 'system' -%}"
    "{{ '<|im_start|>system\n" + SYSTEM_PROMPT.replace("\\", "\\\\") + "<|im_end|>\n' }}"
    "{%- endif -%}"
    "{%- for turn in messages -%}"
    "{{ '<|im_start|>' + turn.role + '\n' + turn.content + '<|im_end|>\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)
SIZES = {  # heads of 32, the smallest that vLLM knows on a CPU
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def build_qwen2(folder, **sizes):
    """Write a model of Qwen2.5-Math's layout to a folder, and return its path as text.

    `sizes` are entries of config.json; `seed` among them is of the weights.
    """
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = _tokenizer(tokens)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    end = tokenizer.token_to_id("<|endoftext|>")
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "attention_dropout": 0.0,
        "bos_token_id": end,
        "eos_token_id": end,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "max_position_embeddings": 4096,
        "max_window_layers": 21,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "sliding_window": 4096,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "use_cache": True,
        "use_mrope": False,
        "use_sliding_window": False,
        **SIZES,
    }
    described = {
        "add_bos_token": False,
        "bos_token": None,
        "chat_template": QWEN_TEMPLATE,
        "eos_token": "<|endoftext|>",
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": "<|endoftext|>",
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
    generation = {"bos_token_id": end, "eos_token_id": end, "do_sample": False, "max_new_tokens": 2048}
    return _write(folder, tokenizer, config | sizes, described, generation)


def build_llama(folder, **sizes):
    """Write a model of Llama-3.1's layout (a base model's) to a folder, and return its path as text."""
    tokens = ["<|begin_of_text|>", "<|end_of_text|>"]
    tokenizer = _tokenizer(tokens)
    begin, end = map(tokenizer.token_to_id, tokens)
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=True),
            processors.TemplateProcessing(
                single="<|begin_of_text|> $A",
                pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
                special_tokens=[("<|begin_of_text|>", begin)],
            ),
        ]
    )
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": begin,
        "eos_token_id": end,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "max_position_embeddings": 131072,
        "mlp_bias": False,
        "pretraining_tp": 1,
        "rms_norm_eps": 1e-5,
        "rope_scaling": {
            "factor": 8.0,
            "high_freq_factor": 4.0,
            "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192,
            "rope_type": "llama3",
        },
        "rope_theta": 500000.0,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "use_cache": True,
        **SIZES,
    }
    described = {
        "bos_token": "<|begin_of_text|>",
        "eos_token": "<|end_of_text|>",
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": 131072,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    generation = {
        "bos_token_id": begin,
        "eos_token_id": end,
        "do_sample": True,
        "temperature": 0.6,
        "top_p": 0.9,
    }
    return _write(folder, tokenizer, config | sizes, described, generation)


def _tokenizer(special):
    """Return a byte-level BPE with a few merges, its special tokens numbered after all others."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer


def _write(folder, tokenizer, config, described, generation):
    from transformers import AutoConfig, AutoModelForCausalLM

    folder.mkdir(parents=True, exist_ok=True)
    seed = config.pop("seed", 0)
    config.setdefault("vocab_size", -(-tokenizer.get_vocab_size() // 64) * 64)
    tokenizer.save(str(folder / "tokenizer.json"))
    described["added_tokens_decoder"] = {
        str(tokenizer.token_to_id(token.content)): {
            "content": token.content,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": True,
        }
        for token in tokenizer.get_added_tokens_decoder().values()
    }
    described["clean_up_tokenization_spaces"] = False
    _json(folder / "tokenizer_config.json", described)
    _json(folder / "config.json", config)
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), dtype=torch.float32)
    model.save_pretrained(folder)
    # What transformers wrote is its own layout; what lies on the hub is this.
    _json(folder / "config.json", config)
    _json(folder / "generation_config.json", generation)
    return str(folder)


def _json(path, values):
    path.write_text(json.dumps(values, indent=2) + "\n")
