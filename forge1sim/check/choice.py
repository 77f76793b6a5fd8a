"""Which models and deployments may serve a request, and which come first."""

from forge1sim.check.accounts import Accounts
from forge1sim.check.case import Case
from forge1sim.check.facts import AUTO, Facts, ModelFact
from forge1sim.check.lines import Lines
from forge1sim.check.money import Ledger, cost_nano, most_output, worst_nano
from forge1sim.check.room import Room
from policies.log import NOT_ELIGIBLE, REQUEST_BUDGET, TENANT_BUDGET, TOO_LARGE

# Why a model never serves a request, the most telling last.
_NEVER = (NOT_ELIGIBLE, TOO_LARGE, REQUEST_BUDGET, TENANT_BUDGET)


def quality_pm(model: ModelFact, complexity_pm: int) -> int:
    """Share of tasks of this complexity done well, per mille: linear between five points, rounded down."""
    step, rest = divmod(max(complexity_pm, 0), 250)
    if step >= 4:
        return model.performance_pm[4]
    low, high = model.performance_pm[step], model.performance_pm[step + 1]
    return (low * (250 - rest) + high * rest) // 250


class Choice:
    """What the gateway may choose for a request now."""

    def __init__(self, facts: Facts, room: Room, ledger: Ledger, accounts: Accounts, lines: Lines) -> None:
        self._facts, self._room, self._ledger, self._accounts, self._lines = facts, room, ledger, accounts, lines
        routing = facts.bundle.routing
        self._models = tuple(range(len(facts.models)))
        self._fallbacks = facts.bundle.retry.fallback_models
        self._ranked = ":" not in routing.policy
        self._model_choice = routing.model_choice
        self._bids = routing.bid_price_usd_per_request, routing.bid_price_usd_per_1m_tokens
        self._prediction_pm = round(facts.bundle.output_prediction_ratio * 1000)

    def chain(self, case: Case) -> tuple[int, ...]:
        """Models to try: the one wanted and its fallbacks, or all where none is named."""
        if case.wanted == AUTO:
            return self._models
        chain = self._facts.models[case.wanted].chain
        return chain if self._fallbacks else chain[:1]

    def unsuited(self, case: Case, row: int) -> str | None:
        """Why a model never serves this request (its tenant's budget apart), or None."""
        model = self._facts.models[row]
        if row not in self.chain(case):
            return f"{model.name} is neither wanted nor a fallback"
        if quality_pm(model, case.complexity) < self._facts.tenants[case.tenant].floor_pm:
            return f"{model.name} is below the quality floor at complexity {case.complexity}"
        if case.input + most_output(case, model) > model.context_tokens:
            return f"the context of {model.name} is too short"
        return None

    def is_suited(self, case: Case, row: int) -> bool:
        """Whether a model may serve this request with the money that is left."""
        if self.unsuited(case, row) is not None:
            return False
        worst = worst_nano(case, self._facts.models[row])
        within_own = case.budget == 0 or case.billed + worst <= case.budget
        return within_own and self._ledger.affords(case, worst)

    def suited(self, case: Case) -> frozenset[int]:
        """All models that may serve this request with the money that is left."""
        return frozenset(row for row in self.chain(case) if self.is_suited(case, row))

    def why_never(self, case: Case) -> int:
        """The reason for which a request that no deployment could ever take is turned away: the most telling of its models."""
        return max((self._why_never(case, row) for row in self.chain(case)), key=_NEVER.index)

    def _why_never(self, case: Case, row: int) -> int:
        model = self._facts.models[row]
        if quality_pm(model, case.complexity) < self._facts.tenants[case.tenant].floor_pm:
            return NOT_ELIGIBLE
        if self.unsuited(case, row) is not None:
            return TOO_LARGE
        worst = worst_nano(case, model)
        if case.budget > 0 and case.billed + worst > case.budget:
            return REQUEST_BUDGET
        if not self._ledger.affords(case, worst):
            return TENANT_BUDGET
        is_open = any(self._facts.deployments[place].model == row for place in self._facts.open[case.access])
        return TOO_LARGE if is_open else NOT_ELIGIBLE

    def could_ever_go(self, case: Case, suited: frozenset[int]) -> bool:
        """Whether any deployment open to this request could take it when idle."""
        return any(
            self._facts.deployments[row].model in suited
            and self._room.could_ever_take(case, self._facts.deployments[row])
            for row in self._facts.open[case.access]
        )

    def is_free(self, case: Case, deployment: int) -> bool:
        """Whether a deployment surely could take this request now and nobody waits ahead of it there."""
        place = self._facts.deployments[deployment]
        return (
            self._accounts.may_take(deployment) is None
            and self._room.surely_has_room(case, place)
            and self._lines.overtaken(case, deployment) is None
            and not self._lines.may_yield(case, deployment)
        )

    def free(self, case: Case, suited: frozenset[int]) -> list[int]:
        """Deployments that surely could take this request now."""
        return [
            row for row in self._facts.open[case.access]
            if self._facts.deployments[row].model in suited and self.is_free(case, row)
        ]  # fmt: skip

    def better(self, case: Case, deployment: int) -> int | None:
        """A free deployment that comes before the one chosen for a request that did not wait, or None.

        An earlier model of the chain, or one that ranks higher where none was named; then a
        dedicated deployment of the same model. Between equals the routing policy decides.
        """
        if not self._ranked:
            return None
        place = self._facts.deployments[deployment]
        before = {model for model in self.suited(case) if model != place.model and self._goes_before(case, model, place.model)}
        for row in self._facts.open[case.access]:
            other = self._facts.deployments[row]
            dedicated = other.model == place.model and place.shared and not other.shared
            if (dedicated or other.model in before) and self.is_free(case, row):
                return row
        return None

    def _goes_before(self, case: Case, one: int, other: int) -> bool:
        if case.wanted != AUTO:
            chain = self.chain(case)
            return other in chain and chain.index(one) < chain.index(other)
        if self._model_choice == "any":
            return False
        return self._score(case, one) > self._score(case, other)

    def _score(self, case: Case, row: int) -> float:
        """Worth of a model for this request by the bundle's `model_choice`."""
        model = self._facts.models[row]
        quality = quality_pm(model, case.complexity)
        if self._model_choice == "best_quality":
            return float(quality)
        cost = cost_nano(model, case.input, 0, most_output(case, model) * self._prediction_pm // 1000) + self._bid_nano(case, model)
        return -float(cost) if self._model_choice == "cheapest" else quality / (cost + 1)

    def _bid_nano(self, case: Case, model: ModelFact) -> int:
        """What a place with a model is worth to others, by request and by token reserved."""
        per_request, per_1m_tokens = (round(bids.get(model.name, 0.0) * 10**9) for bids in self._bids)
        return per_request + (case.input + most_output(case, model)) * per_1m_tokens // 10**6
