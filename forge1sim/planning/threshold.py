"""How large a client may be, learned from probes: a Gaussian process over what clients are like, and the guard that it needs.

The logarithm of the largest load that fits is a constant plus what clients alike have in common. How alike: by tier, by shares of what
they ask for, by tokens. Source of the formulas: Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, equations
2.25-2.26, and 5.12 for the prediction of each probe from all others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import exp

import numpy as np
from numpy.typing import NDArray

from forge1sim.planning.probes import Probe

Floats = NDArray[np.float64]
FALSE_YES, FALSE_NO = 0.02, 0.1     # of probes on the wrong side of a limit on just that limit; of clients of all sizes far fewer
UNKNOWN_BEYOND = 0.5                # a threshold outside of what was looked at is put so far out, as a logarithm
LEAST_GUARD = 1.0
_TIERS, _WISHES, _TOKENS, _SPREADS, _NOISES = (0.3, 0.6, 1.2), (0.5, 1.0, 2.0), (0.1, 0.25, 0.5), (0.3, 0.6, 1.0), (0.05, 0.1, 0.2)


@dataclass(frozen=True, kw_only=True)
class Scales:
    """Weights of differences in tier, wishes and (logarithms of) tokens; standard deviation of what is shared and of what is not."""

    tier: float
    wishes: float
    tokens: float
    spread: float
    noise: float


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Loads up to `yes` fit, loads above `no` do not, by the guard; `expected` is in between."""

    yes: float
    expected: float
    no: float


class Threshold:
    """The largest load by what a client is like."""

    def __init__(self, probes: Sequence[Probe], scales: Scales | None = None) -> None:
        self.probes = tuple(probes)
        self._names = sorted({name for one in probes for name in one.wishes})
        self._tiers = sorted({one.tier for one in probes})
        self._seen = np.array([_log_threshold(one) for one in probes])
        self._mean = float(np.median(self._seen))
        self.scales = scales or max((Scales(tier=t, wishes=w, tokens=k, spread=s, noise=n)
            for t, w, k, s, n in product(_TIERS, _WISHES, _TOKENS, _SPREADS, _NOISES)), key=self._likelihood)  # fmt: skip
        self._at = self._places(probes, self.scales)
        self._inverse = self._inverse_of(self._at, self.scales)
        self._weights = self._inverse @ (self._seen - self._mean)
        deviations = self.left_out()
        self.guard_yes = max(LEAST_GUARD, float(np.quantile(-deviations, 1 - FALSE_YES)))
        self.guard_no = max(LEAST_GUARD, float(np.quantile(deviations, 1 - FALSE_NO)))

    def left_out(self) -> Floats:
        """By how many of its standard deviations each probe lies above what the others say, shape (probes,)."""
        return np.asarray(self._weights / np.sqrt(np.diag(self._inverse)))

    def limit(self, like: Probe) -> Limit:
        """The limits for a client like this one; its own threshold is not looked at."""
        here = self._places([like], self.scales)
        alike = _covariance(here, self._at, self.scales)[0]
        mean = self._mean + float(alike @ self._weights)
        variance = self.scales.spread**2 + self.scales.noise**2 - float(alike @ self._inverse @ alike)
        sd = max(0.0, variance) ** 0.5
        return Limit(yes=exp(mean - self.guard_yes * sd), expected=exp(mean), no=exp(mean + self.guard_no * sd))

    def knows(self, like: Probe) -> bool:
        """Whether there were probes of its tier, with each of its wishes."""
        return like.tier in self._tiers and set(like.wishes) <= set(self._names)

    def nearest(self, like: Probe) -> Probe:
        """The probe most like it."""
        return self.probes[int(np.argmax(_covariance(self._places([like], self.scales), self._at, self.scales)[0]))]

    def _places(self, probes: Sequence[Probe], scales: Scales) -> Floats:
        """What clients are like, as points whose distance says how alike they are, shape (n, features)."""
        tier = np.array([[one.tier == name for name in self._tiers] for one in probes], dtype=np.float64)
        wishes = np.array([[one.wishes.get(name, 0.0) for name in self._names] for one in probes])
        tokens = np.log([[one.input_tokens, one.output_tokens + 1, one.load_per_request] for one in probes])
        return np.hstack([scales.tier * tier, scales.wishes * wishes, scales.tokens * tokens])

    def _inverse_of(self, at: Floats, scales: Scales) -> Floats:
        return np.asarray(np.linalg.inv(_covariance(at, at, scales) + scales.noise**2 * np.eye(len(at))))

    def _likelihood(self, scales: Scales) -> float:
        """Log density of each probe's threshold, predicted from all others, in sum."""
        inverse = self._inverse_of(self._places(self.probes, scales), scales)
        precision = np.diag(inverse)
        deviations = inverse @ (self._seen - self._mean) / np.sqrt(precision)
        return float(0.5 * np.log(precision).sum() - 0.5 * (deviations**2).sum())


def _covariance(one: Floats, other: Floats, scales: Scales) -> Floats:
    distances = ((one[:, None, :] - other[None, :, :]) ** 2).sum(axis=2)
    return np.asarray(scales.spread**2 * np.exp(-0.5 * distances))


def _log_threshold(probe: Probe) -> float:
    if probe.holds <= 0:
        return float(np.log(probe.breaks)) - UNKNOWN_BEYOND
    if not np.isfinite(probe.breaks):
        return float(np.log(probe.holds)) + UNKNOWN_BEYOND
    return float(np.log(probe.holds * probe.breaks) / 2)
