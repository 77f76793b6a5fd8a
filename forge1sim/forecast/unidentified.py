"""What too little data cannot tell, in words."""

import numpy as np

from forge1sim.forecast.history import HOUR_S, MINUTE_S, TOKENS, History
from forge1sim.forecast.model import (
    CEILING_OVER_BUSIEST,
    DAY_H,
    DAY_SHAPE_FROM_H,
    TREND_FROM_H,
    TREND_KEPT_PER_DAY,
    WEEK_SHAPE_FROM_H,
    logs_of,
    repeated_period_h,
    trend_of,
)


def unidentified(history: History, horizon_hours: int) -> tuple[str, ...]:
    """One sentence for each thing that a forecast so many hours ahead rests on and the history does not show."""
    return (*_shapes(history, horizon_hours), *_recording(history), *_bursts(history), *history.notes)


def _shapes(history: History, horizon_hours: int) -> list[str]:
    hours, days = history.hours, history.hours / DAY_H
    said = []
    if hours < DAY_SHAPE_FROM_H:
        said.append(f"Day shape: {hours} hours were seen, under two days; which hours are busy every day cannot be told from chance, so "
                    "the bands are as wide as the hours seen differ. Not verified for other days.")  # fmt: skip
    if hours < WEEK_SHAPE_FROM_H:
        said.append(f"Week shape: {days:.1f} days were seen, under two weeks; weekends are taken to be as other days"
                    + (", but for half of the paths, which repeat the last week." if repeated_period_h(hours, horizon_hours) > DAY_H
                       else ". Not verified for other days of the week."))  # fmt: skip
    if hours < TREND_FROM_H:
        said.append(f"Trend: in {days:.1f} days, under a week, growth cannot be told from the shape of day and week; none is assumed.")
    elif hours < WEEK_SHAPE_FROM_H:
        said.append(f"Trend: in {days:.1f} days, under two weeks, growth cannot be told from the shape of the week; {_trend(history)}.")
    else:
        said.append(f"Trend: {_trend(history)}; whether growth goes on is not in the data.")
    if horizon_hours > hours:
        said.append(f"Horizon: the forecast reaches {horizon_hours} hours ahead, farther than the {hours} hours seen; "
                    "bands that far out could not be checked against the past.")  # fmt: skip
    said.append(f"Rare events: what comes less than once in {days:.1f} days (holidays, launches, outages) is in no path; no path exceeds "
                f"{CEILING_OVER_BUSIEST:g} times the busiest hour seen.")  # fmt: skip
    return said


def _trend(history: History) -> str:
    per_day = np.expm1(trend_of(logs_of(history.requests)).slope * DAY_H)
    if per_day == 0.0:
        return "what the days' means show is no more than chance makes, none is assumed"
    return f"{per_day:+.1%} a day is assumed, fading to {TREND_KEPT_PER_DAY:.0%} of itself each day"


def _recording(history: History) -> list[str]:
    said = []
    gaps = int(np.isnan(history.requests).sum())
    if gaps:
        said.append(f"Gaps: {gaps} of {history.hours} hours were not recorded whole; they are taken as unknown, not as 0.")
    requests = np.nan_to_num(history.requests)
    busiest = requests.max() / requests.sum()
    if busiest > 0.5:
        said.append(f"Single burst: {busiest:.0%} of all requests came in one hour; how often that happens cannot be told from one time. "
                    "Paths that repeat the last week or day repeat it at the same hour.")  # fmt: skip
    if not history.dated:
        said.append("Calendar: the data has no dates; hours are counted from its own 0, whose time of day and weekday are not known.")
    if not any(name in history.tokens for name in TOKENS):
        said.append("Tokens: the data has none; only requests are forecast.")
    return said


def _bursts(history: History) -> list[str]:
    if history.bin_s >= HOUR_S:
        return ["Bursts: the data has hours only; how minutes differ within the hour, which minute limits depend on, is not known."]
    if history.bin_s > MINUTE_S:
        return [f"Bursts: the data counts intervals of {history.bin_s:.0f} s; how the minutes inside differ, which minute limits depend "
                "on, is not known: the busiest minute is at least the mean of the busiest interval."]  # fmt: skip
    return []
