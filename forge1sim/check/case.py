"""One request as the log tells it."""

from forge1sim.check.facts import AUTO, NEVER_US, NOBODY

# what has become of a request so far
NEW, WAITING, FLYING, REFUSED, RESTING = "new", "waiting", "in flight", "refused", "resting"


class Case:
    """A request in the system. Times in microseconds, money in nano-USD."""

    __slots__ = (
        "access", "arrive_us", "attempt", "billed", "budget", "cached", "complexity", "deadline_us", "deployment",
        "dispatch_us", "group", "held", "input", "key", "max_output", "needs", "number", "output", "possible", "refusal",
        "retry_us", "state", "tag", "tenant", "tier", "wanted", "why_not",
    )  # fmt: skip

    def __init__(self, number: int, arrive_us: int, tenant: int, tier: int, access: int) -> None:
        self.number, self.arrive_us, self.tenant, self.tier, self.access = number, arrive_us, tenant, tier, access
        self.state = NEW
        self.input = self.cached = self.max_output = self.complexity = self.budget = 0
        self.wanted, self.deadline_us = AUTO, NEVER_US
        self.attempt, self.deployment = 0, NOBODY
        self.billed = self.held = self.output = 0
        self.dispatch_us = self.retry_us = arrive_us
        self.tag = -1                         # fair-share start tag; -1: never waited
        self.key = 0                          # of the account, in order of use
        self.refusal = 0                      # class of the last one
        self.why_not: int | None = None       # the reason for which it must be rejected on arrival
        self.group: object = None             # where it waits
        # What never changes, by deployment: units of each limit, and whether it could ever pass them all.
        self.needs: dict[int, list[tuple[int, int, int]]] = {}
        self.possible: dict[int, bool] = {}
