"""Sample paths of one series of hours, drawn from two members with equal weight.

*Level member.* Logs of the hours (plus 0.3 of their mean) less a shape and a trend return to a level:
z[t] = level + persistence (z[t-1] - level) + error.

- Shape: mean of each hour of the day about its day's mean, and from two weeks on of each hour of the week about that, shrunk
  towards 0 by the share of their variance that chance explains (James and Stein 1961; Efron and Morris 1975).
- Trend: slope of the days' means, shrunk likewise by its own error, which counts autocorrelated days as fewer; damped.
- Level: exponentially weighted mean, half of the weight on the last day and a half. Persistence: least squares, corrected for its
  bias, (1 + 3 persistence) / n (Kendall 1954).
- Errors are drawn in blocks of three hours (Künsch 1989). Level, slope and persistence are drawn from their own errors, once for a
  path; so is a factor of all errors, from a chi-square with a degree of freedom for each day but one: how wild days are varies.

*Repeated member.* The last week's same hours, or the last day's where a week back is too far, plus errors that this very rule made
in the past, in blocks of half a day. Without enough past for the horizon all paths are of the first member.

The mean of two forecasts is seldom worse than the better one (Bates and Granger 1969). Constants were chosen by backtest: docs/forecast.md.
"""

from dataclasses import dataclass

import numpy as np

from forge1sim.forecast.history import Floats

DAY_H, WEEK_H = 24, 168
DAY_SHAPE_FROM_H, TREND_FROM_H, WEEK_SHAPE_FROM_H = 2 * DAY_H, WEEK_H, 2 * WEEK_H
CEILING_OVER_BUSIEST = 4.0
LEVEL_HALF_LIFE_H = 36
TREND_KEPT_PER_DAY = 0.9
ERROR_BLOCK_H, REPEATED_BLOCK_H = 3, 12
FEWEST_REPEATED_ERRORS = DAY_H
OFFSET_OVER_MEAN = 0.3             # added before the log: 0 has one, and quiet hours do not rule the errors
_PERSISTENCE_MAX, _PERSISTENCE_OF_LEVEL_MAX = 0.99, 0.98
_FEWEST_FREEDOM = 5.0
_PERSISTENCE_ERRORS = 2.0          # its error is that of the formula times this: hours are fewer than they seem, days differ


def sample_paths(past: Floats, hours: int, draws: int, seed: int) -> Floats:
    """Values of the next `hours` hours, shape (draws, hours), 0 or more; `past` has shape (hours so far,), NaN where unknown.

    The same seed draws the same blocks, factors and members for every series of equal length: paths of requests and of tokens
    belong together row by row. Multiplying `past` multiplies the paths.
    """
    chance = np.random.default_rng(seed)
    offset = OFFSET_OVER_MEAN * float(np.nanmean(past))
    if offset == 0.0:
        return np.zeros((draws, hours))
    logs = logs_of(past)
    made = _level_paths(_fitted(logs, np.random.default_rng([seed, 1])), hours, draws, chance)
    period = repeated_period_h(past.size, hours)
    if period:
        half = draws // 2
        made[:half] = _repeated_paths(logs, hours, half, period, chance)
    return np.clip(np.exp(np.minimum(made, np.log(CEILING_OVER_BUSIEST * np.nanmax(past) + offset))) - offset, 0.0, None)


def logs_of(past: Floats) -> Floats:
    """What the members work on; `past` is not 0 throughout."""
    return np.asarray(np.log(past + OFFSET_OVER_MEAN * np.nanmean(past)))


def repeated_period_h(past: int, hours: int) -> int:
    """What the repeated member repeats: a week, a day, or 0 if the past is too short to know its errors that far ahead."""
    for period in (WEEK_H, DAY_H):
        if past - -(-hours // period) * period >= FEWEST_REPEATED_ERRORS:
            return period
    return 0


@dataclass(frozen=True)
class Trend:
    """Slope of the logs per hour at the end of the past, and the error of it."""

    slope: float = 0.0
    error: float = 0.0


def trend_of(logs: Floats) -> Trend:
    """Trend of the days' means, shrunk by what chance explains of it; none under a week."""
    if logs.size < TREND_FROM_H:
        return Trend()
    days = _means(_last_rows(logs, DAY_H))
    days = days[np.isfinite(days)]
    times = np.arange(days.size) - (days.size - 1) / 2.0
    if days.size < 3:
        return Trend()
    slope = float(times @ days / (times @ times))
    left = days - days.mean() - slope * times
    squares = float(left @ left)
    if squares <= 0.0 or slope == 0.0:
        return Trend(slope / DAY_H)
    repeats = float(left[:-1] @ left[1:]) / squares
    repeats = min(max(repeats + (1.0 + 3.0 * repeats) / days.size, 0.0), 0.9)
    effective = max(days.size * (1.0 - repeats) / (1.0 + repeats), 1.5)
    error2 = squares / (days.size - 2) / float(times @ times) * days.size / effective
    kept = max(0.0, 1.0 - error2 / slope**2)
    return Trend(slope * kept / DAY_H, float(np.sqrt(error2 * kept)) / DAY_H)


def shape_of(logs: Floats) -> Floats:
    """Effect of each hour of the week, shape (168,); the first is that of the hour after the last one of `logs`."""
    shape = np.zeros(WEEK_H)
    if logs.size >= DAY_SHAPE_FROM_H:
        days = _last_rows(logs, DAY_H)
        shape += np.tile(_shrunk_means(days - _means(days)[:, None]), 7)
    if logs.size >= WEEK_SHAPE_FROM_H:
        weeks = _last_rows(logs, WEEK_H) - shape
        shape += _shrunk_means(weeks - _means(weeks)[:, None])
    return shape


def _last_rows(values: Floats, size: int) -> Floats:
    """The last values as rows of `size`, shape (as many as there are, size)."""
    return values[values.size % size :].reshape(-1, size)


def _means(table: Floats) -> Floats:
    """Mean of the known values of each row; NaN where there are none."""
    known = np.isfinite(table)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, table, 0.0).sum(axis=1) / known.sum(axis=1))


def _shrunk_means(table: Floats) -> Floats:
    """Mean of each column about their common mean, shrunk; 0 for columns that are not known. Rows repeat, NaN is unknown."""
    counts = np.isfinite(table).sum(axis=0)
    known = counts > 0
    freedom = int((counts[known] - 1).sum())
    if freedom < 1 or known.sum() < 2:
        return np.zeros(counts.size)
    means = _means(table.T)
    within = float(np.nansum((table - means) ** 2)) / freedom
    means[known] -= means[known].mean()
    chance = within / np.maximum(counts, 1)
    between = float(means[known].var(ddof=1)) - float(chance[known].mean())
    if between <= 0.0:
        return np.zeros(counts.size)
    return np.asarray(np.where(known, means * between / (between + chance), 0.0))


@dataclass(frozen=True)
class _Level:
    """The level member as fitted. `last` is how far the last known hour, `age_h` hours ago, was from the level."""

    trend: Trend
    shape: Floats                   # as of shape_of
    level: float
    level_hours: float              # how many equally weighted hours the level rests on
    last: float
    age_h: int
    persistence: float
    persistence_error: float
    errors: Floats                  # shape (hours,), mean about 0


def _fitted(logs: Floats, fill: np.random.Generator) -> _Level:
    """Fit the level member; errors that are not known are drawn by `fill` from those that are."""
    size = logs.size
    trend = trend_of(logs)
    ages = np.arange(size - 1, -1, -1)
    flat = logs + trend.slope * ages
    shape = shape_of(flat)
    flat = flat - shape[-1 - ages % WEEK_H]
    known = np.isfinite(flat)
    weights = np.where(known, 0.5 ** (ages / LEVEL_HALF_LIFE_H), 0.0)
    level = float(weights @ np.where(known, flat, 0.0) / weights.sum())
    away = flat - level

    pairs = known[:-1] & known[1:]
    before, after, count = away[:-1][pairs], away[1:][pairs], max(int(pairs.sum()), 3)
    squares = float(before @ before)
    persistence = float(before @ after) / squares if squares > 0.0 else 0.0
    persistence = min(max(persistence + (1.0 + 3.0 * persistence) / count, 0.0), _PERSISTENCE_MAX)
    errors = np.full(size, np.nan)
    errors[1:][pairs] = after - persistence * before
    if not pairs.any():
        errors[known] = away[known]
    last = int(np.flatnonzero(known)[-1])
    return _Level(
        trend=trend, shape=shape, level=level, level_hours=float(weights.sum() ** 2 / (weights**2).sum()),
        last=float(away[last]), age_h=size - 1 - last, persistence=persistence,
        persistence_error=_PERSISTENCE_ERRORS * float(np.sqrt((1.0 - persistence**2) / count)),
        errors=_filled((errors - np.nanmean(errors)) * np.sqrt(count / (count - 2)), fill),
    )  # fmt: skip


def _level_paths(fit: _Level, hours: int, draws: int, chance: np.random.Generator) -> Floats:
    """Paths of the logs by the level member, shape (draws, hours)."""
    freedom = max(fit.errors.size / DAY_H - 1.0, _FEWEST_FREEDOM)
    factors = np.sqrt(freedom / chance.chisquare(freedom, draws))
    persistences = (fit.persistence + fit.persistence_error * chance.standard_normal(draws)).clip(0.0, _PERSISTENCE_MAX)
    # The mean of n hours that resemble their neighbours errs as sd(errors) / (1 - persistence) / sqrt(n).
    level_errors = fit.errors.std() / np.sqrt(fit.level_hours) / (1.0 - persistences.clip(None, _PERSISTENCE_OF_LEVEL_MAX))
    levels = level_errors * factors * chance.standard_normal(draws)
    slopes = fit.trend.slope + fit.trend.error * chance.standard_normal(draws)
    steps = _blocks(fit.errors, hours, draws, ERROR_BLOCK_H, chance) * factors[:, None]
    away = (fit.last - levels) * persistences**fit.age_h
    made = np.empty((draws, hours))
    for hour in range(hours):
        away = persistences * away + steps[:, hour]
        made[:, hour] = away
    hours_grown = np.cumsum(TREND_KEPT_PER_DAY ** (np.arange(1, hours + 1) / DAY_H))
    return np.asarray(made + (fit.level + levels)[:, None] + slopes[:, None] * hours_grown + fit.shape[np.arange(hours) % WEEK_H])


def _repeated_paths(logs: Floats, hours: int, draws: int, period: int, chance: np.random.Generator) -> Floats:
    """Paths of the logs by the repeated member, shape (draws, hours)."""
    size, known = logs.size, np.flatnonzero(np.isfinite(logs))
    whole = np.interp(np.arange(size), known, logs[known])
    made = np.empty((draws, hours))
    for start in range(0, hours, period):
        stop = min(start + period, hours)
        back = start + period
        errors = whole[back:] - whole[:-back]
        steps = _blocks(errors, stop - start, draws, min(REPEATED_BLOCK_H, errors.size // 2), chance)
        made[:, start:stop] = whole[size - period : size - period + stop - start] + steps
    return made


def _blocks(errors: Floats, hours: int, draws: int, length: int, chance: np.random.Generator) -> Floats:
    """Blocks of consecutive errors set one after the other, shape (draws, hours)."""
    blocks = -(-hours // length)
    starts = chance.integers(0, errors.size - length + 1, (draws, blocks))
    places = starts[:, :, None] + np.arange(length)
    return np.asarray(errors[places].reshape(draws, -1)[:, :hours])


def _filled(values: Floats, chance: np.random.Generator) -> Floats:
    """With what is unknown drawn from what is known."""
    known = values[np.isfinite(values)]
    return np.asarray(np.where(np.isfinite(values), values, chance.choice(known, values.size)))
