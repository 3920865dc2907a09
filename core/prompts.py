"""From a question's messages to the prompt a policy reads: one text for training and for evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

# transformers ships no types that a strict checker could use.
Tokenizer: TypeAlias = Any
Messages = Sequence[Mapping[str, str]]


def question_answer(messages: Messages) -> str:
    """Return the prompt that HPT's code gives models without a chat template (Llama-3.1-8B)."""
    return (
        f"Question:\n{messages[-1]['content']}\n"
        "Please reason step by step, and put your final answer within \\boxed{}.\n"
        "Answer:\nLet's think step by step."
    )


PROMPT_TEMPLATES: dict[str, Callable[[Messages], str]] = {"question_answer": question_answer}


def render_prompt(tokenizer: Tokenizer, messages: Messages, template: str | None) -> str:
    """Return the text of a prompt, up to where the response begins.

    Args:
        tokenizer: A Hugging Face tokenizer.
        messages: Turns with "role" and "content".
        template: A name in PROMPT_TEMPLATES; None takes the tokenizer's chat template.

    Raises:
        ValueError: There is no such template, or the tokenizer has no chat template.
    """
    if template is not None:
        if template not in PROMPT_TEMPLATES:
            raise ValueError(f"prompt_template={template!r} is none of {sorted(PROMPT_TEMPLATES)}")
        return PROMPT_TEMPLATES[template](messages)
    if not getattr(tokenizer, "chat_template", None):
        raise ValueError(
            f"the tokenizer of {tokenizer.name_or_path!r} has no chat template; set train.prompt_template to "
            f"one of {sorted(PROMPT_TEMPLATES)}"
        )
    return str(
        tokenizer.apply_chat_template([dict(m) for m in messages], tokenize=False, add_generation_prompt=True)
    )
