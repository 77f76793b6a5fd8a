"""What an attempt with a model costs: at most, as expected, and in the end."""

from policies import charge
from policies.compile import leaf
from policies.rows import Row
from policies.state import State


@leaf
def most_output(request: Row, model: Row) -> int:
    """Output tokens to reserve: what was asked for, or imposed: never above what the model gives."""
    asked = request["max_output_tokens"]
    most = model["max_output_tokens"]
    return int(asked) if 0 < asked < most else int(most)


@leaf
def price(model: Row, input_tokens: int, cached_tokens: int, output_tokens: int) -> int:
    """Cost in nano-USD at this model's prices."""
    return charge.cost_nano_usd(
        model["input_nano_usd_per_1m"], model["cached_nano_usd_per_1m"], model["output_nano_usd_per_1m"],
        input_tokens, cached_tokens, output_tokens,
    )  # fmt: skip


@leaf
def worst_price(model: Row, input_tokens: int, output_tokens: int) -> int:
    """The most an attempt can cost: nothing cached (or cached, where that costs more), output full."""
    return charge.cost_nano_usd(
        model["dearest_nano_usd_per_1m"], 0, model["output_nano_usd_per_1m"], input_tokens, 0, output_tokens
    )


@leaf
def most_of(state: State, slot: int, deployment: Row) -> tuple[int, int]:
    """The most a request can use on a deployment: output tokens, and nano-USD."""
    request, model = state.requests[slot], state.models[deployment["model"]]
    output = most_output(request, model)
    return output, worst_price(model, request["input_tokens"], output)


@leaf
def expected_price(state: State, model: Row, input_tokens: int, most_output_tokens: int) -> int:
    """What a request will cost with this model if its output is as long as predicted, in nano-USD."""
    output = most_output_tokens * state.settings[0]["output_prediction_pm"] // 1000
    return price(model, input_tokens, 0, output)


@leaf
def bid_price(model: Row, tokens: int) -> int:
    """What a place with this model is worth to others, in nano-USD: by request, and by token that it reserves.

    Source: bid-price control, Talluri and van Ryzin, Management Science 44, 1998.
    """
    return int(model["bid_nano_usd_per_request"] + tokens * model["bid_nano_usd_per_1m"] // 1_000_000)
