"""Estimators: what is not known when a call comes in, from what is. Pure functions, for whoever turns calls into requests.

Nothing here tokenizes: that takes milliseconds for a long prompt and a vocabulary for each model. Both estimates err; how
far, measured on one's own traffic, is what `workload.estimation` of a scenario says (docs/policies.md).
"""

from typing import NamedTuple


class TokenRule(NamedTuple):
    """How text becomes input tokens: UTF-8 bytes of a token, per mille, and tokens around each message and each request."""

    bytes_per_token_pm: int
    per_message: int
    per_request: int


USUAL = "usual"
TOKEN_RULES = {
    # About 4 characters of English a token (OpenAI's help, on tokens). 3 tokens around each message and 3 before
    # the answer: num_tokens_from_messages in "How to count tokens with tiktoken" (OpenAI Cookbook).
    "openai": TokenRule(4000, 3, 3),
    # About 4 characters a token (ai.google.dev, Understand and count tokens). Around messages: assumption.
    "google": TokenRule(4000, 3, 3),
    # Assumption: shorter tokens than the others'; no figure of today's tokenizer is published.
    "anthropic": TokenRule(3500, 3, 3),
    # Assumption, for whom nothing is known.
    USUAL: TokenRule(4000, 3, 3),
}
"""By provider. A model whose tokenizer was measured may have a rule of its own."""

# What makes a task hard, in shares of 1000 that each feature adds at most: assumptions, to be replaced by what was measured.
_INPUT_PM, _OUTPUT_PM, _TURNS_PM, _TOOLS_PM, _CODE_PM = 300, 200, 150, 150, 200
_INPUT_FROM, _OUTPUT_FROM = 64, 64              # tokens up to which length adds nothing; each doubling adds the same
_INPUT_DOUBLINGS, _OUTPUT_DOUBLINGS = 10, 8     # 65,536 and 16,384 tokens add all
_MOST_TURNS, _MOST_TOOLS = 11, 8
_UNSAID_PM = _OUTPUT_PM // 2


def token_rule(provider: str, model: str = "", rules: dict[str, TokenRule] = TOKEN_RULES) -> TokenRule:
    """The rule of a model, else of its provider, else the usual one."""
    return rules.get(model) or rules.get(provider) or rules[USUAL]


def estimate_input_tokens(text_bytes: int, messages: int, rule: TokenRule) -> int:
    """Input tokens of a call with so many bytes of text (UTF-8, schemas of tools included) in so many messages; rounded up.

    Bytes, not characters: in scripts of several bytes a letter there are more tokens, too. Text of
    another kind than English prose (code, numbers, Chinese) may have half as many bytes a token.
    """
    if text_bytes < 0 or messages < 0:
        raise ValueError(f"{text_bytes} bytes in {messages} messages; both must be 0 or more")
    return -(-text_bytes * 1000 // rule.bytes_per_token_pm) + messages * rule.per_message + rule.per_request


def estimate_complexity(input_tokens: int, max_output_tokens: int, turns: int, tools: int, has_code: bool) -> int:
    """Complexity of a task, 0 to 1000 per mille, from what a call shows; the more of anything, the higher.

    Args:
        input_tokens: as estimated or counted.
        max_output_tokens: as asked for; 0: not said, which counts as half.
        turns: messages of the user so far, this one included.
        tools: tools that the call offers.
        has_code: whether code is among the text.

    Length counts by doublings. Assumption: that these features tell, and their weights. Trained routers
    (RouteLLM, Ong et al. 2024; Hybrid LLM, Ding et al. 2024) read the text itself.
    """
    output_pm = _UNSAID_PM
    if max_output_tokens > 0:
        output_pm = _by_doublings(max_output_tokens, _OUTPUT_FROM, _OUTPUT_DOUBLINGS, _OUTPUT_PM)
    return (
        _by_doublings(input_tokens, _INPUT_FROM, _INPUT_DOUBLINGS, _INPUT_PM)
        + output_pm
        + _TURNS_PM * min(max(turns - 1, 0), _MOST_TURNS - 1) // (_MOST_TURNS - 1)
        + _TOOLS_PM * min(max(tools, 0), _MOST_TOOLS) // _MOST_TOOLS
        + (_CODE_PM if has_code else 0)
    )


def _by_doublings(tokens: int, nothing_up_to: int, most_doublings: int, most_pm: int) -> int:
    """0 up to a length, `most_pm` after so many doublings of it, straight between doublings."""
    doublings, length = 0, nothing_up_to
    while doublings < most_doublings and tokens >= 2 * length:
        doublings, length = doublings + 1, 2 * length
    beyond = most_pm * min(max(tokens - length, 0), length) // length if doublings < most_doublings else 0
    return (most_pm * doublings + beyond) // most_doublings
