"""Each window of a limit with its own arithmetic, in whole numbers, from its definition.

A limiter knows what has been used and what is held for attempts in flight. Buckets count in
units of 1/60,000,000, so that `limit per minute x microseconds` is a whole number of them.
"""

from collections import deque

from forge1sim.check.facts import LimitFact

BUCKET_UNIT = 60_000_000
# A gateway may keep the log of a large sliding limit on a grid of so many cells.
SLIDING_CELLS = 4_096


def in_force(configured: int, scale_pm: int) -> int:
    """A share of what is configured; of what there is, at least 1 stays."""
    return max(1, configured * scale_pm // 1000) if configured > 0 else 0


class Limiter:
    """What all windows have in common. `capacity` is in force now, `configured` at full scale."""

    unit = 1

    def __init__(self, configured: int) -> None:
        self.configured = self.capacity = configured
        self.held = 0

    def left(self, now_us: int) -> int:
        """Scaled units that nothing uses or holds now; below zero where a limit was cut."""
        raise NotImplementedError

    def take(self, units: int, now_us: int) -> None:
        """Use `units` now."""
        raise NotImplementedError

    def fits(self, units: int, now_us: int) -> bool:
        """Whether `units` more would stay within the limit."""
        return units * self.unit <= self.left(now_us)

    def surely_fits(self, units: int, now_us: int, kept: int = 0) -> bool:
        """Whether even a gateway that may count a little longer than the rule has room, beside scaled units kept free."""
        return self.fits(units, now_us) and (kept == 0 or units * self.unit + kept <= self.left(now_us))

    def hold(self, units: int) -> None:
        """Set aside what an attempt in flight may use; below zero: give it back."""
        self.held += units * self.unit

    def confirm(self, units: int, counted_us: int, now_us: int) -> None:
        """The provider has served what it counted as `units` at `counted_us`."""

    def correct(self, units: int, counted_us: int, now_us: int) -> None:
        """What was used at `counted_us` was `units` more than was thought, or fewer if below zero."""

    def rescale(self, scale_pm: int, now_us: int) -> None:
        """From now on `scale_pm` per mille of the configured limit is in force."""
        self.left(now_us)
        self.capacity = in_force(self.configured, scale_pm)


class Bucket(Limiter):
    """Fills at `per_min`, holds `configured` scaled units. Paced: one oversized request may overdraw a full one."""

    unit = BUCKET_UNIT

    def __init__(self, configured: int, per_min: int, start_us: int, *, paced: bool, forgiving: bool) -> None:
        super().__init__(configured)
        self.per_min_configured = self.per_min = per_min
        self.level, self.since_us = configured, start_us
        self.paced, self.forgiving = paced, forgiving

    def left(self, now_us: int) -> int:
        """What is in the bucket less what is held."""
        self.level = min(self.capacity, self.level + self.per_min * (now_us - self.since_us))
        self.since_us = now_us
        return self.level - self.held

    def fits(self, units: int, now_us: int) -> bool:
        """Whether the bucket covers it, or is full where it is paced and the request larger than it."""
        need, left = units * self.unit, self.left(now_us)
        return need <= left or (self.paced and need > self.capacity > 0 and left >= self.capacity)

    def take(self, units: int, now_us: int) -> None:
        """Take from the bucket. Forgiving: what was lent is not owed back."""
        self.left(now_us)
        self.level -= units * self.unit
        if self.forgiving and units > 0:
            self.level = max(self.level, 0)

    def correct(self, units: int, counted_us: int, now_us: int) -> None:
        """Into the bucket or out of it, now; it overflows."""
        self.left(now_us)
        self.level = min(self.capacity, self.level - units * self.unit)
        if self.forgiving:
            self.level = max(self.level, 0)

    def rescale(self, scale_pm: int, now_us: int) -> None:
        """A smaller bucket spills, and fills more slowly."""
        super().rescale(scale_pm, now_us)
        self.per_min = in_force(self.per_min_configured, scale_pm)
        self.level = min(self.level, self.capacity)


class Window(Limiter):
    """So much in each window of fixed length; use counts in the window in which it was taken."""

    def __init__(self, configured: int, window_us: int, offset_us: int) -> None:
        super().__init__(configured)
        self.window_us, self.offset_us = window_us, offset_us
        self.used = 0
        self.number: int | None = None

    def left(self, now_us: int) -> int:
        """What this window still allows."""
        self._turn((now_us - self.offset_us) // self.window_us)
        return self.allowed() - self.used - self.held

    def allowed(self) -> int:
        """What this window allows in all."""
        return self.capacity

    def _turn(self, number: int) -> None:
        if number != self.number:
            self.used, self.number = 0, number

    def take(self, units: int, now_us: int) -> None:
        """Use it in this window."""
        self.left(now_us)
        self.used += units

    def correct(self, units: int, counted_us: int, now_us: int) -> None:
        """In the window in which it was used, if that lasts."""
        self.left(now_us)
        if (counted_us - self.offset_us) // self.window_us == self.number:
            self.used += units


class Acceleration(Window):
    """Allows `growth_pm` per mille of what the provider served of the window just before, and at least the limit.

    All that was sent in a window counts against it, served or not.
    """

    def __init__(self, configured: int, window_us: int, growth_pm: int) -> None:
        super().__init__(configured, window_us, 0)
        self.growth_pm, self.previous, self.served = growth_pm, 0, 0

    def allowed(self) -> int:
        """What this window allows in all."""
        return max(self.capacity, self.previous * self.growth_pm // 1000)

    def _turn(self, number: int) -> None:
        if number != self.number:
            self.previous = self.served if self.number is not None and number == self.number + 1 else 0
            self.served = 0
            super()._turn(number)

    def confirm(self, units: int, counted_us: int, now_us: int) -> None:
        """Let it enlarge the allowance of the window after that in which the provider counted it."""
        self.left(now_us)
        age = (now_us // self.window_us) - (counted_us // self.window_us)
        if age == 0:
            self.served += units
        elif age == 1:
            self.previous += units


class Sliding(Limiter):
    """So much in any stretch of `window_us`: what was used at t counts before t + window_us."""

    def __init__(self, configured: int, window_us: int) -> None:
        super().__init__(configured)
        self.window_us, self.slack_us = window_us, window_us // SLIDING_CELLS + 2
        self.used, self.used_late = 0, 0
        self._entries: deque[tuple[int, int]] = deque()
        self._late: deque[tuple[int, int]] = deque()

    def left(self, now_us: int) -> int:
        """What the last `window_us` left over."""
        while self._entries and self._entries[0][0] + self.window_us <= now_us:
            entry = self._entries.popleft()
            self.used -= entry[1]
            self._late.append(entry)
        return self.capacity - self.used - self.held

    def take(self, units: int, now_us: int) -> None:
        """Note the use."""
        if units > 0:
            self._entries.append((now_us, units))
            self.used += units
            self.used_late += units

    def correct(self, units: int, counted_us: int, now_us: int) -> None:
        """More is used now; what was thought too much stays until its time is over."""
        self.take(units, now_us)

    def surely_fits(self, units: int, now_us: int, kept: int = 0) -> bool:
        """Whether it fits even where use counts for one cell of a grid longer."""
        self.left(now_us)
        while self._late and self._late[0][0] + self.window_us + self.slack_us <= now_us:
            self.used_late -= self._late.popleft()[1]
        return units + kept <= self.capacity - self.used_late - self.held


class Slots(Limiter):
    """Requests in flight: nothing but what is held."""

    def left(self, now_us: int) -> int:
        """Free slots."""
        del now_us
        return self.capacity - self.held

    def take(self, units: int, now_us: int) -> None:
        """Nothing is used up."""


def limiter_of(limit: LimitFact, start_us: int) -> Limiter:
    """The limiter of one limit."""
    return part_of(limit, start_us, 1_000_000)


def part_of(limit: LimitFact, start_us: int, ppm: int, *, share: bool = False, forgiving: bool = False) -> Limiter:
    """A limiter of `ppm` millionths of a limit; `share`: of a tier's part of it.

    A part of a sliding limit is judged by windows of the same length from the start on.
    """
    if limit.window in ("token_bucket", "paced"):
        return Bucket(
            limit.depth * BUCKET_UNIT * ppm // 1_000_000, limit.amount * ppm // 1_000_000, start_us,
            paced=limit.window == "paced", forgiving=forgiving,
        )  # fmt: skip
    amount = limit.amount * ppm // 1_000_000
    if limit.window == "none":
        return Slots(amount)
    if limit.window == "acceleration":
        return Acceleration(amount, limit.window_us, limit.growth_pm)
    if limit.window == "sliding" and not share:
        return Sliding(amount, limit.window_us)
    return Window(amount, limit.window_us, start_us if limit.window == "sliding" else limit.offset_us)
