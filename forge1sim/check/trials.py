"""Who is on trial: refused for a limit that the gateway does not know, or was not told for how long.

One request goes when the rest is over, and one more at once for each answer that was served. A
refusal for a limit puts it back to one; each rest of which nothing came doubles the next, four times at most.
"""

from dataclasses import dataclass

MOST_DOUBLINGS = 4
Target = tuple[int, int]            # scope and row


@dataclass(slots=True)
class Trial:
    """What a bucket or account may try since its last refusal."""

    since_us: int
    most: int = 1
    in_flight: int = 0
    doublings: int = 0


class Trials:
    """All trials so far. What was sent before the refusal does not belong to them."""

    def __init__(self) -> None:
        self._trials: dict[Target, Trial] = {}

    def begin(self, target: Target, sent_us: int, now_us: int) -> None:
        """A limit refused what was sent at `sent_us`."""
        trial = self._trials.get(target)
        doublings = 0
        if trial is not None:
            in_vain = trial.most == 1 and sent_us > trial.since_us
            doublings = min(trial.doublings + 1, MOST_DOUBLINGS) if in_vain else trial.doublings
        self._trials[target] = Trial(now_us, doublings=doublings)

    def factor(self, target: Target) -> int:
        """How many times as long a rest is whose length the gateway chooses."""
        trial = self._trials.get(target)
        return 1 if trial is None else 2**trial.doublings

    def full(self, target: Target) -> str | None:
        """Why nothing more may be sent now, or None."""
        trial = self._trials.get(target)
        if trial is None or trial.in_flight < trial.most:
            return None
        return f"it is on trial with {trial.in_flight} in flight of {trial.most}"

    def sent(self, targets: tuple[Target, ...]) -> None:
        """An attempt is sent."""
        for target in targets:
            if target in self._trials:
                self._trials[target].in_flight += 1

    def ended(self, targets: tuple[Target, ...], sent_us: int, served: bool) -> None:
        """An attempt sent at `sent_us` is no longer in flight."""
        for target in targets:
            trial = self._trials.get(target)
            if trial is None or sent_us <= trial.since_us:
                continue
            trial.in_flight -= 1
            if served:
                trial.most += 1
                trial.doublings = 0
