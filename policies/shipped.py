"""What is shipped to choose from, by name: for lists, help and documentation (docs/policies.md)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shipped:
    """One name that a bundle may use: where it stands in the bundle, and what it does."""

    field: str
    name: str
    about: str


def shipped_names(field: str) -> tuple[str, ...]:
    """The names that are shipped for a field of the bundle."""
    return tuple(policy.name for policy in SHIPPED if policy.field == field)


def _of(field: str, **about: str) -> tuple[Shipped, ...]:
    return tuple(Shipped(field, name, text) for name, text in about.items())


SHIPPED = (
    *_of(
        "routing.policy",
        cost_efficiency="best performance per expected dollar at the task's complexity, then the most headroom",
        headroom="the deployment that keeps the largest share of its tightest limit free",
        least_in_flight="the deployment with the fewest requests in flight",
        latency="the deployment with the fastest answers of late; one not seen yet is tried first",
        weighted="by chance, in proportion to the accounts' `weight`",
        round_robin="each candidate in turn",
        random="any candidate with equal chance",
    ),
    *_of(
        "routing.model_choice",
        cost_efficiency="models by performance at the task's complexity per expected dollar",
        cheapest="models by expected cost, the lowest first",
        best_quality="models by performance at the task's complexity, the highest first",
        any="all models at once: the routing policy chooses among their deployments",
    ),
    *_of(
        "scaling.policy",
        none="accounts stay as they are",
        threshold="adds an account above `add_above`, retires one below `retire_below`, with hysteresis",
        predictive="threshold on the utilization foreseen `horizon_s` ahead",
    ),
    *_of(
        "reservation.mode",
        none="guaranteed shares are ignored",
        floor="lent when idle; what frees goes to the owner first; nothing in flight is killed",
        partition="a tier uses its own share only",
        trunk="lower tiers leave the shares of higher ones free",
        cap="the tiers below share what the higher ones leave",
        preempt="a floor whose owner takes a borrowed slot back at once",
    ),
    *_of(
        "reservation.oversubscription",
        priority="shares above 1 in sum are granted by priority until 1 is reached",
        proportional="shares above 1 in sum are scaled down by one factor",
    ),
)
