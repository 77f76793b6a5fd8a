"""Money in whole nano-USD: prices, worst cases, budgets and the ledger."""

from forge1sim.check.case import Case
from forge1sim.check.facts import BUDGET_PERIOD_US, Facts, ModelFact
from forge1sim.check.report import Notebook, Report

MILLION = 1_000_000


def cost_nano(model: ModelFact, input_tokens: int, cached_tokens: int, output_tokens: int) -> int:
    """Price of an attempt, rounded up to whole nano-USD. `input_tokens` includes the cached ones."""
    fresh = (input_tokens - cached_tokens) * model.input_price
    return -(-(fresh + cached_tokens * model.cached_price + output_tokens * model.output_price) // MILLION)


def most_output(case: Case, model: ModelFact) -> int:
    """Output tokens to reserve: as asked for, never more than the model gives."""
    return case.max_output if 0 < case.max_output < model.max_output_tokens else model.max_output_tokens


def worst_nano(case: Case, model: ModelFact, input_tokens: int | None = None) -> int:
    """The most that an attempt can cost, whatever share of its input is cached; with `case.input`, or another input."""
    dearest = max(model.input_price, model.cached_price)
    return -(-((case.input if input_tokens is None else input_tokens) * dearest + most_output(case, model) * model.output_price) // MILLION)


def output_of(case: Case, model: ModelFact, cost: int) -> tuple[int, bool]:
    """Output tokens of an attempt cut short that cost so much, and whether the price tells exactly.

    Where it does not (a free model), the fewest possible.
    """
    if cost == 0:
        return 0, cost_nano(model, case.input, case.cached, 0) > 0
    paid_input = (case.input - case.cached) * model.input_price + case.cached * model.cached_price
    if model.output_price == 0:
        return 0, False
    most = (cost * MILLION - paid_input) // model.output_price
    fewest = -(-((cost - 1) * MILLION + 1 - paid_input) // model.output_price)
    return max(0, fewest), 0 <= most == fewest


class Ledger:
    """What tenants have used and hold of their budgets, and who has paid for what."""

    def __init__(self, facts: Facts, notes: Notebook, report: Report) -> None:
        self._facts, self._notes, self._report = facts, notes, report
        self._period = [0] * len(facts.tenants)
        self._used = [0] * len(facts.tenants)
        self._held = [0] * len(facts.tenants)

    def _open_period(self, tenant: int) -> None:
        period = (self._notes.now_us - self._facts.start_us) // BUDGET_PERIOD_US
        if period != self._period[tenant]:
            self._period[tenant], self._used[tenant] = period, 0

    def affords(self, case: Case, worst: int) -> bool:
        """Whether the tenant's budget of this period covers the worst case beside all that it holds."""
        budget = self._facts.tenants[case.tenant].budget
        if budget < 0:
            return True
        self._open_period(case.tenant)
        return self._used[case.tenant] + self._held[case.tenant] + worst <= budget

    def hold(self, case: Case, worst: int) -> None:
        """Set the worst case of an attempt aside."""
        if not self.affords(case, worst):
            self._notes.add(
                "tenant_budget",
                f"request {case.number}: tenant {case.tenant} has used {self._used[case.tenant]} and holds "
                f"{self._held[case.tenant]}, {worst} more exceed {self._facts.tenants[case.tenant].budget} nano-USD",
            )
        if case.budget > 0 and case.billed + worst > case.budget:
            self._notes.add(
                "request_budget", f"request {case.number}: billed {case.billed}, {worst} more exceed its budget {case.budget}"
            )
        self._held[case.tenant] += worst

    def settle(self, case: Case, cost: int, most: int | None) -> None:
        """Book what an attempt cost, `most` nano-USD at most if that is known, and give back what it held."""
        tenant, deployment = case.tenant, case.deployment
        self._open_period(tenant)
        if cost < 0 or (most is not None and cost > most):
            self._notes.add("worst_case", f"request {case.number} cost {cost}, at most {most} nano-USD were possible")
        self._held[tenant] -= case.held
        self._used[tenant] += cost
        case.billed += cost
        report = self._report
        report.cost_nano_usd += cost
        report.tenant_nano_usd[tenant] = report.tenant_nano_usd.get(tenant, 0) + cost
        report.deployment_nano_usd[deployment] = report.deployment_nano_usd.get(deployment, 0) + cost
