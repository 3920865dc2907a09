r"""The world's tokenizer: one token a character, and `\boxed{` one token."""

from __future__ import annotations

from core.prompts import Tokenizer

SPECIAL = ("<pad>", "<eos>", "<user>", "<assistant>")
VOCABULARY = (*SPECIAL, *"0123456789+-= ", "\\boxed{", "}")

CHAT_TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}"
    "{% if message.role == 'assistant' %}<eos>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


# How a byte-level tokenizer writes a space.
BYTE_LEVEL_SPACE = "\u0120"


def build_tokenizer() -> Tokenizer:
    r"""Return the tokenizer, with its chat template.

    It is of Qwen2's own class: for a Qwen2 model, transformers' AutoTokenizer builds that class whatever the
    saved files say, and one of another kind would come back without spaces and without `\boxed{`.
    """
    from transformers import AddedToken, Qwen2Tokenizer

    vocabulary = [BYTE_LEVEL_SPACE if token == " " else token for token in VOCABULARY]
    tokenizer = Qwen2Tokenizer(
        vocab={token: index for index, token in enumerate(vocabulary)},
        merges=[],
        unk_token="<pad>",  # else the class adds a token of its own, which the model has no embedding for
        eos_token="<eos>",
        pad_token="<pad>",
        additional_special_tokens=["<user>", "<assistant>"],
        clean_up_tokenization_spaces=False,
        model_max_length=128,
    )
    tokenizer.add_tokens([AddedToken("\\boxed{", normalized=False)])
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
