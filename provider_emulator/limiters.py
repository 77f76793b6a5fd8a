"""How providers limit, on their own clock. Real numbers and seconds: nothing here is shared with any gateway.

Sources: token bucket with continuous refill (Anthropic, rate limits, 2026-09); a minute enforced over shorter spans (OpenAI,
rate limit guide, 2026-09); requests per day from midnight (Gemini API, 2026-10); sharp rises refused (Anthropic, acceleration).
"""

from collections import deque
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from provider_emulator.config import LimitSpec

_LONGEST_LOG = 100_000


class Bucket:
    """Refills continuously and holds at least `least`. `overdraws`: a request larger than the bucket passes when it is full."""

    def __init__(self, per_min: float, burst_s: float, now_s: float, *, overdraws: bool, least: float = 1.0) -> None:
        self.rate_per_s = per_min / 60
        self.capacity = max(least, per_min * burst_s / 60)
        self._level, self._at_s, self._began_s, self._overdraws = self.capacity, now_s, now_s, overdraws

    def room(self, now_s: float) -> float:
        """What the bucket holds."""
        self._level = min(self.capacity, self._level + max(0.0, now_s - self._at_s) * self.rate_per_s)
        self._at_s = max(now_s, self._at_s)
        return self._level

    def fits(self, units: float, now_s: float) -> bool:
        """Whether so many units pass."""
        room = self.room(now_s)
        return units <= room + 1e-9 or (self._overdraws and units > self.capacity and room >= self.capacity)

    def take(self, units: float, now_s: float) -> None:
        """Count units; the level may fall below 0."""
        self._level = self.room(now_s) - units

    def wait_s(self, units: float, now_s: float) -> float:
        """Until they fit."""
        return max(0.0, min(units, self.capacity) - self.room(now_s)) / self.rate_per_s

    def resets_in_s(self, now_s: float) -> float:
        """Until it is full."""
        return (self.capacity - self.room(now_s)) / self.rate_per_s

    def allowed(self, now_s: float) -> float:
        """Burst and refill so far."""
        return self.capacity + (now_s - self._began_s) * self.rate_per_s


class Windows:
    """So much in each window; windows begin at `phase_s` and every `window_s` after it."""

    def __init__(self, amount: float, window_s: float, phase_s: float, now_s: float) -> None:
        self.capacity, self._window_s, self._phase_s = amount, window_s, phase_s
        self._began, self._window, self._used = self._number(now_s), self._number(now_s), 0.0

    def _number(self, now_s: float) -> int:
        return int((now_s - self._phase_s) // self._window_s)

    def room(self, now_s: float) -> float:
        """What is left of this window."""
        if self._number(now_s) > self._window:
            self._window, self._used = self._number(now_s), 0.0
        return self.capacity - self._used

    def fits(self, units: float, now_s: float) -> bool:
        """Whether so many units pass."""
        return units <= self.room(now_s) + 1e-9

    def take(self, units: float, now_s: float) -> None:
        """Count units."""
        self.room(now_s)
        self._used += units

    def wait_s(self, units: float, now_s: float) -> float:
        """Until they fit."""
        return 0.0 if self.fits(units, now_s) else self.resets_in_s(now_s)

    def resets_in_s(self, now_s: float) -> float:
        """Until the next window."""
        return self._phase_s + (self._number(now_s) + 1) * self._window_s - now_s

    def allowed(self, now_s: float) -> float:
        """All windows that were open so far."""
        return (self._number(now_s) - self._began + 1) * self.capacity


class Days(Windows):
    """So much from midnight to midnight of a time zone. `epoch_s`: seconds since the epoch when the limiter's clock is at 0."""

    def __init__(self, amount: float, time_zone: str, epoch_s: float, now_s: float) -> None:
        self._zone, self._epoch_s = ZoneInfo(time_zone), epoch_s
        super().__init__(amount, 86_400.0, 0.0, now_s)

    def _day(self, now_s: float) -> datetime:
        return datetime.fromtimestamp(self._epoch_s + now_s, self._zone)

    def _number(self, now_s: float) -> int:
        return self._day(now_s).toordinal()

    def resets_in_s(self, now_s: float) -> float:
        """Until midnight: a day may have 23 or 25 hours."""
        midnight = datetime.combine(self._day(now_s).date() + timedelta(days=1), datetime.min.time(), self._zone)
        return max(0.0, midnight.timestamp() - self._epoch_s - now_s)


class Sliding:
    """So much in any span of `window_s`."""

    def __init__(self, amount: float, window_s: float, now_s: float, longest_log: int = _LONGEST_LOG) -> None:
        self.capacity, self._window_s, self._began_s, self._longest_log = amount, window_s, now_s, longest_log
        self._log: deque[tuple[float, float]] = deque()
        self._used = 0.0

    def room(self, now_s: float) -> float:
        """What the last span leaves."""
        while self._log and self._log[0][0] + self._window_s <= now_s:
            self._used -= self._log.popleft()[1]
        if not self._log:
            self._used = 0.0        # sums of fractions leave crumbs
        return self.capacity - self._used

    def fits(self, units: float, now_s: float) -> bool:
        """Whether so many units pass."""
        return units <= self.room(now_s) + 1e-9

    def take(self, units: float, now_s: float) -> None:
        """Count units. In a log as long as it may be, the last entry takes them in and stays as long as they do: never too much passes."""
        if units <= 0:
            return
        self.room(now_s)
        self._used += units
        if len(self._log) >= self._longest_log:
            units += self._log.pop()[1]
        self._log.append((now_s, units))

    def wait_s(self, units: float, now_s: float) -> float:
        """Until they fit; a whole span if they never do."""
        missing = units - self.room(now_s)
        if missing <= 1e-9:
            return 0.0
        for at_s, amount in self._log:
            missing -= amount
            if missing <= 1e-9:
                return max(0.0, at_s + self._window_s - now_s)
        return self._window_s

    def resets_in_s(self, now_s: float) -> float:
        """Until all of it has left."""
        return max(0.0, self._log[-1][0] + self._window_s - now_s) if self._log else 0.0

    def allowed(self, now_s: float) -> float:
        """The most that could have been taken: all of it, as soon as the span was over again."""
        return self.capacity * (1 + (now_s - self._began_s) // self._window_s)


class Acceleration:
    """In each window the larger of `amount` and `growth` times what was served in the window before."""

    def __init__(self, amount: float, window_s: float, growth: float, now_s: float) -> None:
        self._least, self._growth, self._window_s = amount, growth, window_s
        self._window, self._used, self._before = int(now_s // window_s), 0.0, 0.0
        self.capacity = amount

    def room(self, now_s: float) -> float:
        """What is left of this window."""
        window = int(now_s // self._window_s)
        if window > self._window:
            self._before = self._used if window == self._window + 1 else 0.0
            self._window, self._used = window, 0.0
        self.capacity = max(self._least, self._growth * self._before)
        return self.capacity - self._used

    def fits(self, units: float, now_s: float) -> bool:
        """Whether so many units pass; one request always does in an idle window."""
        room = self.room(now_s)
        return units <= room + 1e-9 or self._used == 0

    def take(self, units: float, now_s: float) -> None:
        """Count units."""
        self.room(now_s)
        self._used += units

    def wait_s(self, units: float, now_s: float) -> float:
        """Until they fit."""
        return 0.0 if self.fits(units, now_s) else self.resets_in_s(now_s)

    def resets_in_s(self, now_s: float) -> float:
        """Until the next window."""
        return (self._window + 1) * self._window_s - now_s

    def allowed(self, now_s: float) -> float:
        """Not told: it depends on what was used."""
        return float("inf")


Limiter = Bucket | Windows | Sliding | Acceleration
"""`room` units may be taken now, `take` takes them (more than there are, if it must), `wait_s` is how long until `units` fit;
`allowed` is all that could have been taken up to now, `capacity` the most at once."""


def limiter_of(spec: LimitSpec, now_s: float, phase_s: float, epoch_s: float) -> Limiter | None:
    """The limiter of a limit, full at `now_s`; None for concurrency, which is only counted.

    `phase_s` is how long after `now_s` a fixed window begins if the limit does not say; `epoch_s` are seconds since the epoch when the
    clock is at 0.
    """
    match spec.window:
        case "none":
            return None
        case "sliding":
            return Sliding(spec.amount, spec.window_s, now_s)
        case "acceleration":
            return Acceleration(spec.amount, spec.window_s, spec.growth, now_s)
        case "fixed":
            phase_s = spec.phase_s if spec.phase_s is not None else phase_s
            return Windows(spec.amount, spec.window_s, now_s + phase_s, now_s)
        case "day":
            return Days(spec.amount, spec.time_zone, epoch_s, now_s)
        case "token_bucket" | "paced":
            least = 0.0 if spec.charge == "cost" else 1.0
            return Bucket(spec.amount, spec.burst_s, now_s, overdraws=spec.window == "paced", least=least)
