"""Room on deployments: every limit it draws on, and what tiers have reserved of each."""

from forge1sim.check.case import Case
from forge1sim.check.facts import DeploymentFact, Facts, LimitFact
from forge1sim.check.limiters import Limiter, limiter_of, part_of
from forge1sim.check.money import most_output, worst_nano
from forge1sim.check.report import Notebook

PPM = 1_000_000


def at_dispatch(limit: LimitFact, input_tokens: int, output_tokens: int) -> int:
    """Units certain at dispatch. Concurrency uses nothing up."""
    if limit.window == "none":
        return 0
    return {"requests": 1, "max_tokens": input_tokens + output_tokens, "input": input_tokens}.get(limit.charge, 0)


def in_flight(limit: LimitFact, input_tokens: int, output_tokens: int, worst: int) -> int:
    """Units set aside while the attempt is in flight: the worst case of what is not certain."""
    if limit.window == "none":
        return 1
    held = {"uncached_input": input_tokens, "output": output_tokens, "total": input_tokens + output_tokens, "cost": worst}
    return held.get(limit.charge, 0)


def at_end(limit: LimitFact, input_tokens: int, cached_tokens: int, output_tokens: int, cost: int) -> int:
    """Units that an attempt really used, of what was held."""
    if limit.window == "none":
        return 0
    used = {
        "uncached_input": input_tokens - cached_tokens, "output": output_tokens,
        "total": input_tokens + output_tokens, "cost": cost,
    }  # fmt: skip
    return used.get(limit.charge, 0)


class Room:
    """The limiters of all known limits of accounts, and of the tiers' shares of each."""

    def __init__(self, facts: Facts, notes: Notebook, estimated: bool = False) -> None:
        self._facts, self._notes, self._estimated = facts, notes, estimated
        self.mode = facts.bundle.reservation.mode
        self._is_own = ":" in self.mode
        self._limiters: dict[int, Limiter] = {}
        self._shares: dict[tuple[int, int], Limiter] = {}
        self._doubtful: set[int] = set()          # rows whose use the log does not tell exactly
        self._cut: set[int] = set()               # accounts whose limits were ever cut
        parts = [self._part_ppm(tier) for tier in range(len(facts.tiers))]
        for row, limit in enumerate(facts.limits):
            if not limit.known:
                continue
            self._limiters[row] = limiter_of(limit, facts.start_us)
            for tier, ppm in enumerate(parts):
                forgiving = self.mode in ("floor", "preempt")
                self._shares[row, tier] = part_of(limit, facts.start_us, ppm, share=True, forgiving=forgiving)

    def _part_ppm(self, tier: int) -> int:
        """A tier's part of each limit; in mode cap, what its rank and those below may use together."""
        facts = self._facts.tiers[tier]
        if self.mode == "cap":
            return round((1 - facts.above) * PPM)
        last = facts.rank == len(self._facts.tiers) - 1
        if self.mode == "partition" and last:
            return round((1 - facts.above) * PPM)
        return round(facts.share * PPM)

    def _needs(self, case: Case, place: DeploymentFact) -> list[tuple[int, int, int]]:
        """(limit row, units used at dispatch, units held) of an attempt there."""
        known = case.needs.get(place.row)
        if known is not None:
            return known
        model = self._facts.models[place.model]
        output, worst = most_output(case, model), worst_nano(case, model)
        found = []
        for row in place.limits:
            limit = self._facts.limits[row]
            found.append((row, at_dispatch(limit, case.input, output), in_flight(limit, case.input, output, worst)))
        case.needs[place.row] = found
        return found

    def first_over(self, case: Case, place: DeploymentFact) -> str | None:
        """Name of a limit that an attempt there would exceed now, or None."""
        for row, used, held in self._needs(case, place):
            if not self._limiters[row].fits(used + held, self._notes.now_us) and not self._is_unknown(row):
                return self._facts.limits[row].name
        return None

    def _is_unknown(self, row: int) -> bool:
        """Whether more may be left of a limit than can be told: of an attempt cut short nobody knows what the estimate missed."""
        return self._estimated and row in self._doubtful

    def over_share(self, case: Case, place: DeploymentFact) -> str | None:
        """Name of a limit of which reservations leave this tier too little, or None (partition, trunk, cap)."""
        if not place.shared or self.mode not in ("partition", "trunk", "cap"):
            return None
        for row, used, held in self._needs(case, place):
            if not self._share_allows(row, case.tier, used + held) and not self._is_unknown(row):
                return self._facts.limits[row].name
        return None

    def _kept(self, row: int, tier: int) -> int:
        """Scaled units of a limit that trunk reservation keeps free for higher tiers."""
        return self._limiters[row].capacity * self._facts.tiers[tier].above_pm // 1000

    def _share_allows(self, row: int, tier: int, units: int) -> bool:
        now_us, facts = self._notes.now_us, self._facts.tiers[tier]
        if self.mode == "partition":
            return self._shares[row, tier].fits(units, now_us)
        if self.mode == "trunk":
            limiter, kept = self._limiters[row], self._kept(row, tier)
            return kept == 0 or units * limiter.unit + kept <= limiter.left(now_us)
        return all(
            self._shares[row, other].fits(units, now_us)
            for other, fact in enumerate(self._facts.tiers)
            if 0 < fact.rank <= facts.rank
        )

    def is_known(self, place: DeploymentFact) -> bool:
        """Whether it is known whom a reservation keeps from a deployment: not what a policy of the user's own says."""
        return not (self._is_own and place.shared)

    def surely_has_room(self, case: Case, place: DeploymentFact) -> bool:
        """Whether the deployment has room beyond any doubt."""
        if not self.is_known(place):
            return False
        trunk = self.mode == "trunk" and place.shared
        for row, used, held in self._needs(case, place):
            kept = self._kept(row, case.tier) if trunk else 0
            if row in self._doubtful or not self._limiters[row].surely_fits(used + held, self._notes.now_us, kept):
                return False
        return self.over_share(case, place) is None

    def is_short_of_shared(self, case: Case, there: DeploymentFact, here: DeploymentFact) -> bool:
        """Whether a request lacks, of all limits of a deployment, only some that another deployment draws on, too.

        Where tiers have parts of their own, one that is kept out may not be any more by now: then no.
        """
        if not self._doubtful.isdisjoint(there.limits) or self.mode in ("partition", "trunk", "cap"):
            return False
        lacks = [
            row for row, used, held in self._needs(case, there) if not self._limiters[row].fits(used + held, self._notes.now_us)
        ]
        return bool(lacks) and set(lacks) <= set(here.limits)

    def could_ever_take(self, case: Case, place: DeploymentFact) -> bool:
        """Whether an attempt passes every limit of the deployment when it is idle."""
        known = case.possible.get(place.row)
        if known is None:
            known = all(
                used + held <= self._facts.limits[row].depth or self._facts.limits[row].window in ("paced", "acceleration")
                for row, used, held in self._needs(case, place)
            )
            case.possible[place.row] = known
        return known

    def owes(self, case: Case, place: DeploymentFact) -> bool:
        """Whether the tier is below its guaranteed share on every limit of the deployment."""
        if self.mode not in ("floor", "preempt") or not place.shared or self._facts.tiers[case.tier].share_pm == 0:
            return False
        return all(
            self._shares[row, case.tier].fits(used + held, self._notes.now_us) for row, used, held in self._needs(case, place)
        )

    def is_doubtful(self, place: DeploymentFact) -> bool:
        """Whether the log leaves open how much of some limit is used."""
        return not self._doubtful.isdisjoint(place.limits)

    def borrows(self, tier: int, place: DeploymentFact) -> bool:
        """Whether a tier has more in flight than its share of some concurrency limit."""
        rows = [row for row in place.limits if self._facts.limits[row].window == "none"]
        return any(self._shares[row, tier].held > self._shares[row, tier].capacity for row in rows)

    def reserve(self, case: Case, place: DeploymentFact) -> None:
        """Use and hold what an attempt needs; a limit or share that it exceeds is a finding."""
        over = self.first_over(case, place)
        if over is not None:
            self._notes.add("limit", f"request {case.number} exceeds {over} when sent to {place.name}")
        else:
            over = self.over_share(case, place)
            if over is not None:
                self._notes.add("reservation", f"request {case.number} uses of {over} what is reserved for other tiers ({self.mode})")
        for row, used, held in self._needs(case, place):
            self._move(row, case.tier, place.shared, used, held)

    def settle(self, case: Case, place: DeploymentFact, used_tokens: tuple[int, int, int], cost: int, exact: bool) -> None:
        """Give back what an attempt held and use what it really used: input, cached, output tokens."""
        missed = used_tokens[0] - case.input if used_tokens[0] > 0 else 0
        for row, sent, held in self._needs(case, place):
            limit = self._facts.limits[row]
            used = at_end(limit, *used_tokens, cost)
            by_input = limit.charge in ("max_tokens", "input") and limit.window != "none"
            if by_input and missed != 0:
                self._correct(row, case, place.shared, missed)
            if by_input and self._estimated and not exact:
                self._doubtful.add(row)
            if limit.window == "acceleration" and (sum(used_tokens) > 0 or not exact):
                counted = sent + (missed if by_input else 0) + (used if exact else held)
                at_its_end = limit.charge in ("output", "total", "cost")
                self._confirm(row, case, place.shared, counted, self._notes.now_us if at_its_end else case.dispatch_us)
                if not exact:
                    self._doubtful.add(row)
            if held == 0:
                continue
            if used > held and limit.window != "none" and not self._estimated:
                self._notes.add("worst_case", f"request {case.number} used {used} of {limit.name}, held were {held}")
            if not exact and limit.charge in ("uncached_input", "output", "total") and limit.window != "none":
                self._doubtful.add(row)
            self._move(row, case.tier, place.shared, used, -held)
            self._check_use(row)

    def _correct(self, row: int, case: Case, shared: bool, missed: int) -> None:
        """The estimate of the input missed so many tokens of what was used at dispatch."""
        for limiter in self._all_of(row, case.tier, shared):
            limiter.correct(missed, case.dispatch_us, self._notes.now_us)

    def _all_of(self, row: int, tier: int, shared: bool) -> list[Limiter]:
        """A limit and the parts of it that a tier counts against."""
        own = [self._shares[row, other] for other in self._counted(tier)] if shared else []
        return [self._limiters[row], *(share for share in own if share.configured > 0)]

    def _move(self, row: int, tier: int, shared: bool, used: int, held: int) -> None:
        for limiter in self._all_of(row, tier, shared):
            limiter.hold(held)
            if used > 0:
                limiter.take(used, self._notes.now_us)

    def _confirm(self, row: int, case: Case, shared: bool, units: int, counted_us: int) -> None:
        """The provider has served what it counted then (or may have: better too much than an idle accusation)."""
        for limiter in self._all_of(row, case.tier, shared):
            limiter.confirm(units, counted_us, self._notes.now_us)

    def _counted(self, tier: int) -> list[int]:
        """Tiers against whose part a request counts: its own; in mode cap, all from rank 1 to its own."""
        if self.mode != "cap":
            return [tier]
        rank = self._facts.tiers[tier].rank
        return [other for other, fact in enumerate(self._facts.tiers) if 0 < fact.rank <= rank]

    def _check_use(self, row: int) -> None:
        """Real use and what is held stay within a limit that was never cut."""
        limit = self._facts.limits[row]
        if limit.window in ("paced", "acceleration") or limit.account in self._cut or self._estimated:
            return
        left = self._limiters[row].left(self._notes.now_us)
        if left < 0:
            self._notes.add("limit", f"{limit.name} is exceeded by {-left} when an attempt ends")

    def rescale(self, account: int, scale_pm: int) -> None:
        """The provider showed which share of an account's limits is in force."""
        if not 0 < scale_pm <= 1000:
            self._notes.add("limit_change", f"scale of {self._facts.accounts[account].name} is {scale_pm}, must be 1 to 1000")
        self._cut.add(account)
        for row in self._facts.accounts[account].all_limits:
            for limiter in (self._limiters[row], *(self._shares[row, tier] for tier in range(len(self._facts.tiers)))):
                limiter.rescale(scale_pm, self._notes.now_us)
