"""Who waits, and in which order: the line in front of every deployment.

Requests with the same contract, wanted model and suited models wait side by side. Inside a tier
the fair-share start tag decides (start-time fair queueing: Goyal, Vin and Cheng, 1996), then the
order of arrival; without fair shares the order of arrival alone. Between tiers those come first
that are owed a guaranteed share there, then the higher priority aged by waiting, then the earlier.
Whom only a reservation keeps out stops nobody. Who is short of a limit that several deployments
draw on comes first on all of them.
"""

import heapq
from collections.abc import Iterator

from forge1sim.check.accounts import Accounts
from forge1sim.check.case import Case
from forge1sim.check.facts import DeploymentFact, Facts
from forge1sim.check.report import Notebook
from forge1sim.check.room import Room


class Group:
    """Requests that the same deployments may serve, first in line first."""

    __slots__ = ("_heap", "members", "open", "suited", "tier")

    def __init__(self, tier: int, suited: frozenset[int], deployments: frozenset[int]) -> None:
        self.tier, self.suited, self.open = tier, suited, deployments
        self.members: dict[int, Case] = {}
        self._heap: list[tuple[int, int]] = []

    def push(self, case: Case, place: tuple[int, int]) -> None:
        """Let a request wait at this place."""
        self.members[case.number] = case
        heapq.heappush(self._heap, place)

    def remove(self, case: Case) -> None:
        """Take a request out, wherever it stands."""
        del self.members[case.number]
        while self._heap and self._heap[0][1] not in self.members:
            heapq.heappop(self._heap)

    def in_line(self) -> Iterator[Case]:
        """Who waits, in order."""
        if self.members:
            yield self.members[self._heap[0][1]]
        for place in sorted(self._heap)[1:]:
            if place[1] in self.members:
                yield self.members[place[1]]


class Lines:
    """All waiting requests and the order among them."""

    def __init__(self, facts: Facts, notes: Notebook, room: Room, accounts: Accounts) -> None:
        self._facts, self._notes, self._room, self._accounts = facts, notes, room, accounts
        limits = [set(place.limits) for place in facts.deployments]
        self._beside = [
            [other for other in range(len(limits)) if other != row and limits[row] & limits[other]] for row in range(len(limits))
        ]
        self._fair = facts.bundle.queue.fair_share
        self._aging_milli = round(facts.bundle.queue.aging_per_s * 1000)
        self._groups: dict[tuple[int, int, frozenset[int]], Group] = {}
        self._waiting: dict[int, Group] = {}        # those in which somebody waits, by identity
        self._virtual = [0] * len(facts.tiers)
        self._tenant_tag = [0] * len(facts.tenants)
        self.waiting = 0
        self.waiting_of = [0] * len(facts.tenants)

    def kinds(self) -> int:
        """How many kinds of requests have ever waited."""
        return len(self._groups)

    def tag(self, case: Case) -> int:
        """The start tag a request has, or would get now."""
        if not self._fair:
            return 0
        return case.tag if case.tag >= 0 else max(self._virtual[case.tier], self._tenant_tag[case.tenant])

    def push(self, case: Case, suited: frozenset[int]) -> Group:
        """A request begins to wait; it gets its tag unless it has waited before."""
        if case.tag < 0:
            start = max(self._virtual[case.tier], self._tenant_tag[case.tenant]) if self._fair else 0
            work = case.input + case.max_output + 1
            case.tag = start
            self._tenant_tag[case.tenant] = start + work * 1000 // self._facts.tenants[case.tenant].weight_milli
        key = (case.access, case.wanted, suited)
        group = self._groups.get(key)
        if group is None:
            places = frozenset(row for row in self._facts.open[case.access] if self._facts.deployments[row].model in suited)
            group = self._groups[key] = Group(case.tier, suited, places)
        group.push(case, (self.tag(case), case.number))
        self._waiting[id(group)] = group
        case.group = group
        self.waiting += 1
        self.waiting_of[case.tenant] += 1
        return group

    def remove(self, case: Case, *, served: bool) -> None:
        """A request waits no longer; if it is served, the virtual time of its tier follows it."""
        assert isinstance(case.group, Group)
        case.group.remove(case)
        if not case.group.members:
            del self._waiting[id(case.group)]
        case.group = None
        self.waiting -= 1
        self.waiting_of[case.tenant] -= 1
        if served:
            self._virtual[case.tier] = max(self._virtual[case.tier], case.tag)

    def _rank(self, case: Case, place: DeploymentFact) -> tuple[bool, int, int]:
        """Sorts requests of different tiers in front of a deployment; the least is served first."""
        score = self._facts.tiers[case.tier].priority_milli * 1_000_000 + self._aging_milli * (self._notes.now_us - case.arrive_us)
        return not self._room.owes(case, place), -score, case.number

    def heads(self, deployment: int) -> list[Case]:
        """Of each tier the request that this deployment would serve next."""
        best: dict[int, Case] = {}
        place = self._facts.deployments[deployment]
        for group in self._waiting.values():
            if deployment not in group.open:
                continue
            for case in group.in_line():
                if self._room.could_ever_take(case, place):
                    other = best.get(case.tier)
                    if other is None or (case.tag, case.number) < (other.tag, other.number):
                        best[case.tier] = case
                    break
        return [case for case in best.values() if self._room.over_share(case, place) is None]

    def first(self, deployment: int) -> Case | None:
        """Who is first in line in front of a deployment."""
        heads = self.heads(deployment)
        if len(heads) < 2:
            return heads[0] if heads else None
        place = self._facts.deployments[deployment]
        return min(heads, key=lambda case: self._rank(case, place))

    def overtaken(self, case: Case, deployment: int) -> tuple[str, Case] | None:
        """Somebody who waits and comes before this request there, and by which rule; None if nobody does."""
        place = self._facts.deployments[deployment]
        if self.waiting == 0 or not self._room.is_known(place):
            return None
        for head in self.heads(deployment):
            rule = self._comes_before(head, place, case, place)
            if rule is not None:
                return rule, head
        for other in self._beside[deployment]:
            if self._accounts.may_take(other) is not None:
                continue
            # Who is owed changes with time, and a gateway looks when something happens: all must come before.
            there = self._facts.deployments[other]
            heads = self.heads(other)
            rules = [self._comes_before(head, there, case, place) for head in heads]
            if heads and all(rules) and all(self._room.is_short_of_shared(head, there, place) for head in heads):
                return str(rules[0]), heads[0]
        return None

    def may_yield(self, case: Case, deployment: int) -> bool:
        """Whether somebody in front of a deployment that shares limits with this one may come before this request."""
        place = self._facts.deployments[deployment]
        return any(
            self._comes_before(head, self._facts.deployments[other], case, place)
            and not self._room.surely_has_room(head, self._facts.deployments[other])
            for other in self._beside[deployment]
            for head in self.heads(other)
        )

    def _comes_before(self, one: Case, there: DeploymentFact, other: Case, here: DeploymentFact) -> str | None:
        """The rule by which `one`, who waits for a deployment, comes before `other` on this one; None if it does not."""
        if one is other:
            return None
        if one.tier == other.tier:
            return "order" if (self.tag(one), one.number) < (self.tag(other), other.number) else None
        rank, other_rank = self._rank(one, there), self._rank(other, here)
        if rank >= other_rank:
            return None
        return "floor" if rank[0] < other_rank[0] else "priority"
