"""Requests in flight on a deployment, newest first. Kept only where a floor may take slots back."""

from policies.compile import rare
from policies.state import NO_SLOT, State


@rare
def add_flight(state: State, slot: int) -> None:
    """Note that `slot` is in flight on its deployment."""
    request = state.requests[slot]
    deployment = state.deployments[request["deployment"]]
    newest = deployment["newest"]
    request["next"] = newest
    request["previous"] = NO_SLOT
    if newest != NO_SLOT:
        state.requests[newest]["previous"] = slot
    deployment["newest"] = slot


@rare
def drop_flight(state: State, slot: int) -> None:
    """Note that `slot` is no longer in flight."""
    request = state.requests[slot]
    following, previous = request["next"], request["previous"]
    if previous == NO_SLOT:
        state.deployments[request["deployment"]]["newest"] = following
    else:
        state.requests[previous]["next"] = following
    if following != NO_SLOT:
        state.requests[following]["previous"] = previous
