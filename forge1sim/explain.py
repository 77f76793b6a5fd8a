"""One request's life, told from its log rows."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from policies import log
from policies.bundle import PolicyBundle
from policies.layout import Layout

Teller = Callable[[np.void, Layout, PolicyBundle], str]
_AUTO = "the best value among all models"


def describe(rows: NDArray[np.void], layout: Layout, bundle: PolicyBundle, start_us: int) -> list[str]:
    """The sentences of `tell`, each led by seconds since `start_us`."""
    times_s = (rows["time_us"] - start_us) / 1e6
    return [f"{at_s:12.6f} s  {text}" for at_s, text in zip(times_s, tell(rows, layout, bundle), strict=True)]


def tell(rows: NDArray[np.void], layout: Layout, bundle: PolicyBundle) -> list[str]:
    """A sentence for each row of one request, in order of time."""
    return [_TELLERS[int(row["kind"])](row, layout, bundle) for row in rows]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _seconds(us: int) -> str:
    return f"{int(us) / 1e6:.3f} s"


def _usd(nano_usd: int) -> str:
    return f"{int(nano_usd) / 1e9:.9f} USD"


def _where(row: np.void, layout: Layout) -> str:
    return layout.deployments[int(row["deployment"])].name if row["deployment"] >= 0 else "nowhere"


def _limit(row: np.void, layout: Layout) -> str:
    number = int(row["limit"])
    if number < 0:
        return ""
    if number < len(layout.limits):
        limit = layout.limits[number]
        return f", by limit {limit.name} ({limit.amount:,} {limit.charge}, {limit.window})"
    return ", by the tenant's own limit"


def _arrive(row: np.void, layout: Layout, bundle: PolicyBundle) -> str:
    del bundle
    wanted = _AUTO if row["limit"] < 0 else layout.models[int(row["limit"])].name
    packed = int(row["v0"])
    deadline = "no deadline" if row["v2"] >= 2**62 else f"deadline after {_seconds(int(row['v2']) - int(row['time_us']))}"
    budget = f", budget {_usd(row['v3'])}" if row["v3"] > 0 else ""
    return (
        f"request {row['request']} of {layout.tenant_names[int(row['tenant'])]} arrives: wants {wanted}, "
        f"{packed & log.LOW_32} input tokens ({packed >> 32} cached), at most {int(row['v1']) or 'unstated'} output tokens, "
        f"complexity {int(row['v4']) / 1000:.3f}, {deadline}{budget}"
    )


def _dispatch(row: np.void, layout: Layout, bundle: PolicyBundle) -> str:
    came = "from the queue" if row["code"] else "at once"
    return (
        f"attempt {row['attempt']} goes {came} to {_where(row, layout)} for tier {bundle.tiers[int(row['limit'])].name}, "
        f"{int(row['v1']):,} tokens and at most {_usd(row['v0'])} reserved, {_seconds(row['v2'])} after arrival"
    )


def _complete(row: np.void, layout: Layout, bundle: PolicyBundle) -> str:
    del bundle
    quality = (int(row["v4"]) >> 48) / 1000
    return (
        f"served by {_where(row, layout)}: {int(row['v1']):,} output tokens, {_usd(row['v2'])}, "
        f"{_seconds(row['v3'])} since arrival, quality {quality:.3f}"
    )


def _refused(row: np.void, layout: Layout, bundle: PolicyBundle) -> str:
    del bundle
    after = f", asked to wait {_seconds(row['v0'])}" if row["v0"] > 0 else ""
    refusal = _words(log.REFUSAL_NAMES[int(row["code"])])
    return f"attempt {row['attempt']} is refused by {_where(row, layout)}: {refusal}{_limit(row, layout)}{after}"


def _queue(row: np.void, layout: Layout, bundle: PolicyBundle) -> str:
    del bundle
    reason = _words(log.REASON_NAMES[int(row["code"])])
    return f"waits: {reason}{_limit(row, layout)}; {int(row['v1']):,} wait in all"


def _backoff(row: np.void, layout: Layout, bundle: PolicyBundle) -> str:
    del layout, bundle
    return f"backs off until {_seconds(int(row['v0']) - int(row['time_us']))} from now"


def _ended(verb: str) -> Teller:
    def tell(row: np.void, layout: Layout, bundle: PolicyBundle) -> str:
        del bundle
        reason = _words(log.REASON_NAMES[int(row["code"])])
        clears = int(row["v0"]) if row["kind"] in (log.REJECT, log.EXPIRE) else -1
        when = f", which clears in {_seconds(clears - int(row['time_us']))}" if clears >= row["time_us"] else ""
        return f"{verb}: {reason}{_limit(row, layout)}{when}; {_seconds(row['v1'])} since arrival, billed {_usd(row['v2'])}"

    return tell


_TELLERS: dict[int, Teller] = {
    log.ARRIVE: _arrive, log.DISPATCH: _dispatch, log.COMPLETE: _complete, log.REFUSED: _refused, log.QUEUE: _queue,
    log.BACKOFF: _backoff, log.REJECT: _ended("rejected"), log.EXPIRE: _ended("expires"), log.CANCEL: _ended("cancelled"),
}  # fmt: skip
