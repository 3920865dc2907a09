"""From messages to the text and the tokens that the model reads."""

import pytest
from tokenizers.processors import TemplateProcessing

from core.prompts import render_prompt
from training.tokens import decode, encode

MESSAGES = [{"role": "user", "content": "12+3="}]


def test_the_tokenizers_chat_template_is_the_default(tokenizer):
    assert render_prompt(tokenizer, MESSAGES, None) == "<user>12+3=<assistant>"


def test_a_named_template_takes_the_place_of_a_chat_template(tokenizer):
    tokenizer.chat_template = None
    assert render_prompt(tokenizer, MESSAGES, "question_answer") == (
        "Question:\n12+3=\nPlease reason step by step, and put your final answer within \\boxed{}.\n"
        "Answer:\nLet's think step by step."
    )


def test_without_either_the_tokenizer_and_the_templates_are_named(tokenizer, policy_path):
    tokenizer.chat_template = None
    with pytest.raises(
        ValueError, match=r"no chat template; set train\.prompt_template.*question_answer"
    ) as e:
        render_prompt(tokenizer, MESSAGES, None)
    assert policy_path in str(e.value)


def test_an_unknown_template_is_refused(tokenizer):
    with pytest.raises(ValueError, match=r"prompt_template='qa' is none of \['question_answer'\]"):
        render_prompt(tokenizer, MESSAGES, "qa")


def test_encoding_adds_no_special_token_and_keeps_those_in_the_text(tokenizer):
    # Llama's tokenizer begins every text with a token of its own, unless told not to.
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing("<eos> $A", special_tokens=[("<eos>", 1)])
    assert tokenizer("12")["input_ids"][0] == 1
    ids = encode(tokenizer, "<user>12<assistant>")
    assert tokenizer.convert_ids_to_tokens(ids) == ["<user>", "1", "2", "<assistant>"]


def test_decoding_gives_back_what_was_encoded(tokenizer):
    tokenizer.clean_up_tokenization_spaces = True
    tokenizer.clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output = True
    text = "<user>1 . 2\n\\boxed{3}<eos>"
    assert decode(tokenizer, encode(tokenizer, text)) == text
