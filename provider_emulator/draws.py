"""Chance by counting: a draw depends on the seed, who draws, for what and for which attempt alone, never on what was drawn before."""

import hashlib
import math
import random

from provider_emulator.config import Draw


class Chance:
    """Draws of one account."""

    def __init__(self, seed: int, account: str) -> None:
        self._hash = hashlib.blake2b(f"{seed}|{account}|".encode(errors="surrogateescape"), digest_size=8)

    def uniform(self, purpose: str, key: str) -> float:
        """From [0, 1)."""
        return (self._word(purpose, key) >> 11) / 2**53

    def normal(self, purpose: str, key: str) -> float:
        """Of mean 0 and deviation 1 (Box and Muller)."""
        one, other = self.uniform(f"{purpose}1", key), self.uniform(f"{purpose}2", key)
        return math.sqrt(-2 * math.log(1 - one)) * math.cos(2 * math.pi * other)

    def draw(self, draw: Draw, purpose: str, key: str) -> float:
        """From a distribution."""
        if draw.kind == "deterministic" or draw.mean == 0 or (draw.cv == 0 and draw.kind != "exponential"):
            return draw.mean
        if draw.kind == "exponential":
            return -draw.mean * math.log(1 - self.uniform(purpose, key))
        if draw.kind == "lognormal":
            sigma2 = math.log(1 + draw.cv**2)
            return math.exp(math.log(draw.mean) - sigma2 / 2 + math.sqrt(sigma2) * self.normal(purpose, key))
        return random.Random(self._word(purpose, key)).gammavariate(1 / draw.cv**2, draw.mean * draw.cv**2)

    def _word(self, purpose: str, key: str) -> int:
        own = self._hash.copy()
        own.update(f"{purpose}|{key}".encode(errors="surrogateescape"))
        return int.from_bytes(own.digest(), "little")
