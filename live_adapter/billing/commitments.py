"""Spend that was committed to, month by month: what charges of an account draw down, and what of the fee is left unused."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from live_adapter.billing.charges import Charge
from live_adapter.billing.errors import BillingError
from live_adapter.billing.money import month_of, month_span_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """In a month (UTC, such as `2026-12`) an account's first `covers_nano_usd` of use are paid by a fee, used or not."""

    name: str
    account: str
    provider: str
    month: str
    fee_nano_usd: int
    covers_nano_usd: int

    def __post_init__(self) -> None:
        month_span_us(self.month)
        if self.fee_nano_usd < 0 or self.covers_nano_usd <= 0:
            raise BillingError(
                f"commitment {self.name}: fee_nano_usd is {self.fee_nano_usd}, must be 0 or more; "
                f"covers_nano_usd is {self.covers_nano_usd}, must be above 0"
            )

    def fee_of(self, first_nano_usd: int, last_nano_usd: int) -> int:
        """The part of the fee for use from the first to the last nano-USD covered. Parts that follow each other sum to the fee."""
        return self.fee_nano_usd * last_nano_usd // self.covers_nano_usd - self.fee_nano_usd * first_nano_usd // self.covers_nano_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """A charge, or the part of one, that a commitment pays: its use at list price is the charge's cost, of the fee it takes a part."""

    charge: Charge
    commitment: Commitment
    effective_nano_usd: int


class DrawnDown:
    """Commitments while charges draw them down, in order of time. One commitment for an account and month. Raises BillingError."""

    def __init__(self, commitments: Iterable[Commitment]) -> None:
        self._of: dict[tuple[str, str], Commitment] = {}
        for one in commitments:
            if (one.account, one.month) in self._of:
                raise BillingError(f"commitment {one.name}: account {one.account} has another one in {one.month}, must be one")
            self._of[one.account, one.month] = one
        self._used_nano_usd = dict.fromkeys(self._of, 0)

    def draw(self, charge: Charge) -> Iterator[Charge | Covered]:
        """The charge; or what of it is covered and then what is not. Costs, tokens and attempts of the parts sum to the charge's.

        An attempt is not counted twice: those of a charge that is split stay with the part that is covered.
        """
        key = charge.account, month_of(charge.hour_us)
        commitment = self._of.get(key)
        used = self._used_nano_usd.get(key, 0)
        if commitment is None or charge.cost_nano_usd == 0 or used == commitment.covers_nano_usd:
            yield charge
            return
        cost = min(charge.cost_nano_usd, commitment.covers_nano_usd - used)
        tokens = charge.tokens * cost // charge.cost_nano_usd
        self._used_nano_usd[key] = used + cost
        part = replace(charge, cost_nano_usd=cost, tokens=tokens)
        yield Covered(charge=part, commitment=commitment, effective_nano_usd=commitment.fee_of(used, used + cost))
        if cost < charge.cost_nano_usd:
            yield replace(charge, cost_nano_usd=charge.cost_nano_usd - cost, tokens=charge.tokens - tokens, attempts=0)

    def unused(self) -> Iterator[tuple[Commitment, int, int]]:
        """For each commitment not used up: what it would still have covered, and the part of the fee that this is, in nano-USD."""
        for key, commitment in self._of.items():
            used, covers = self._used_nano_usd[key], commitment.covers_nano_usd
            if used < covers:
                yield commitment, covers - used, commitment.fee_of(used, covers)
