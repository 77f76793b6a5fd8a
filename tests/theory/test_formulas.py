"""The formulas against each other, against SciPy, and against chains solved numerically."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from forge1sim.errors import TheoryError
from forge1sim.theory.erlang import erlang_a, erlang_b, erlang_c, mmc_wait_s, mmck
from forge1sim.theory.general import (
    gamma_gaps,
    gimc_delayed_ratio,
    gimc_wait_s,
    mg1_wait_s,
    mmpp_wait_s,
    outage_clears_s,
    priority_waits_s,
    waits_us,
)
from forge1sim.theory.limiters import fixed_window_refused_ratio, sliding_log_refused_ratio, token_bucket_refused_ratio
from forge1sim.theory.reservations import floor_waits_s, refused, stationary

State = tuple[int, ...]
Moves = Iterator[tuple[State, float]]
servers_and_load = st.integers(1, 60).flatmap(lambda c: st.tuples(st.just(c), st.floats(0.05, 0.95).map(lambda rho: rho * c)))


@given(servers_and_load)
def test_erlang_b_and_c_are_ratios_of_poisson_terms(case: tuple[int, float]) -> None:
    servers, load = case
    last, below = stats.poisson.pmf(servers, load), stats.poisson.cdf(servers - 1, load)
    assert erlang_b(load, servers) == pytest.approx(last / (last + below), rel=1e-9)
    beyond = last / (1 - load / servers)
    assert erlang_c(load, servers) == pytest.approx(beyond / (beyond + below), rel=1e-9)


@given(servers_and_load)
def test_bounded_and_impatient_queues_lie_between_loss_and_waiting(case: tuple[int, float]) -> None:
    servers, load = case
    assert mmck(load, 1.0, servers, servers).refused_ratio == pytest.approx(erlang_b(load, servers))
    assert mmck(load, 1.0, servers, servers + 3000).wait_mean_s == pytest.approx(mmc_wait_s(load, 1.0, servers), rel=1e-6)
    assert erlang_a(load, 1.0, servers, 1e9).wait_mean_s == pytest.approx(mmc_wait_s(load, 1.0, servers), rel=1e-4)
    assert erlang_a(load, 1.0, servers, 1e-9).abandoned_ratio == pytest.approx(erlang_b(load, servers), rel=1e-4)


def test_who_is_as_patient_as_service_is_long_makes_infinitely_many_servers() -> None:
    state = erlang_a(6.0, 1.0, 5, 1.0)
    assert state.in_system_mean == pytest.approx(6.0)
    assert state.delayed_ratio == pytest.approx(stats.poisson.sf(4, 6.0))


def test_one_server_with_exponential_service_is_every_formula_at_once() -> None:
    wait_s = 0.6 / (1 - 0.6) * 2.0
    assert mmc_wait_s(0.3, 2.0, 1) == pytest.approx(wait_s)
    assert mg1_wait_s(0.3, 2.0, 1.0) == pytest.approx(wait_s)
    assert mg1_wait_s(0.3, 2.0, 0.0) == pytest.approx(wait_s / 2)
    assert gimc_wait_s(gamma_gaps(0.3, 1.0), 0.3, 2.0, 1) == pytest.approx(wait_s)
    assert mmpp_wait_s((0.3, 0.3), (5.0, 9.0), 2.0, 1) == pytest.approx(wait_s)
    assert priority_waits_s([0.3], 2.0, 1) == pytest.approx([wait_s])


@given(servers_and_load.filter(lambda case: case[0] <= 12))
def test_gamma_gaps_of_cv_one_are_poisson(case: tuple[int, float]) -> None:
    servers, load = case
    assert gimc_delayed_ratio(gamma_gaps(load, 1.0), load, 1.0, servers) == pytest.approx(erlang_c(load, servers), rel=1e-4)
    assert gimc_wait_s(gamma_gaps(load, 1.0), load, 1.0, servers) == pytest.approx(mmc_wait_s(load, 1.0, servers), rel=1e-4)


def test_gamma_gaps_agree_with_the_chain_of_their_phases() -> None:
    """Gamma gaps of coefficient of variation 1/2 are sums of four exponential phases."""
    arrivals_per_s, servers, most = 2.2, 3, 200

    def moves(state: State) -> Moves:
        phase, count = state
        if phase < 3:
            yield (phase + 1, count), 4 * arrivals_per_s
        elif count < most:
            yield (0, count + 1), 4 * arrivals_per_s
        if count:
            yield (phase, count - 1), float(min(count, servers))

    share = stationary((0, 0), moves)
    waiting = sum(p * max(0, count - servers) for (_, count), p in share.items())
    gaps = gamma_gaps(arrivals_per_s, 0.5)
    assert gimc_wait_s(gaps, arrivals_per_s, 1.0, servers) == pytest.approx(waiting / arrivals_per_s, rel=1e-8)
    arrives = {count: p for (phase, count), p in share.items() if phase == 3}
    delayed = sum(p for count, p in arrives.items() if count >= servers) / sum(arrives.values())
    assert gimc_delayed_ratio(gaps, arrivals_per_s, 1.0, servers) == pytest.approx(delayed, rel=1e-8)


def test_bursts_agree_with_the_chain_of_their_phases() -> None:
    rates, phases_s, servers, most = (1.0, 4.0), (10.0, 3.0), 3, 400

    def moves(state: State) -> Moves:
        phase, count = state
        yield (1 - phase, count), 1.0 / phases_s[phase]
        if count < most:
            yield (phase, count + 1), rates[phase]
        if count:
            yield (phase, count - 1), float(min(count, servers))

    waiting = sum(p * max(0, count - servers) for (_, count), p in stationary((0, 0), moves).items())
    mean_per_s = (1.0 * 10.0 + 4.0 * 3.0) / 13.0
    assert mmpp_wait_s(rates, phases_s, 1.0, servers) == pytest.approx(waiting / mean_per_s, rel=1e-8)


@given(st.lists(st.floats(0.01, 0.3), min_size=1, max_size=3), st.integers(1, 8))
def test_priorities_only_share_out_the_waiting_of_a_plain_queue(rates: list[float], servers: int) -> None:
    rates = [rate * servers for rate in rates]
    waits = priority_waits_s(rates, 1.0, servers)
    assert waits == sorted(waits)
    assert np.dot(rates, waits) == pytest.approx(sum(rates) * mmc_wait_s(sum(rates), 1.0, servers))


@given(st.integers(1, 200), st.floats(0.5, 300))
def test_a_fixed_window_refuses_what_is_beyond_its_limit(limit: int, mean: float) -> None:
    counts = np.arange(limit, limit + 3000)
    beyond = float(((counts - limit) * stats.poisson.pmf(counts, mean)).sum())
    assert fixed_window_refused_ratio(limit, mean) == pytest.approx(beyond / mean, abs=1e-9)


def test_small_token_buckets_are_known_in_closed_form() -> None:
    for load in (0.3, 1.0, 2.5):
        assert token_bucket_refused_ratio(1, load) == pytest.approx(load / (1 + load))          # M/D/1/1
        assert token_bucket_refused_ratio(2, load) == pytest.approx(1 - 1 / (math.exp(-load) + load))
    assert token_bucket_refused_ratio(60, 0.5) < 1e-15
    assert token_bucket_refused_ratio(60, 3.0) == pytest.approx(2 / 3)                          # only the refill gets through


def test_the_figures_of_the_design() -> None:
    """60 per minute under Poisson load of 60 per minute; ten slots with 4 erlang from each of two tiers."""
    assert round(token_bucket_refused_ratio(60, 1.0), 3) == 0.008
    assert round(fixed_window_refused_ratio(60, 60.0), 3) == 0.051
    assert round(sliding_log_refused_ratio(60, 60.0), 3) == 0.096
    lost = {mode: refused(mode, 10, 8, (4.0, 4.0)) for mode in ("partition", "trunk", "cap", "preempt")}
    assert [round(lost[mode].other_ratio, 2) for mode in lost] == [0.62, 0.96, 0.62, 0.12]
    assert round(lost["preempt"].killed_ratio, 2) == 0.10


def test_reservations_where_they_are_plain_loss_systems() -> None:
    floor, partition = refused("floor", 10, 8, (3.0, 4.0)), refused("partition", 10, 8, (3.0, 4.0))
    assert floor.owner_ratio == pytest.approx(erlang_b(7.0, 10)) == floor.other_ratio
    assert partition.owner_ratio == pytest.approx(erlang_b(3.0, 8))
    assert partition.other_ratio == pytest.approx(erlang_b(4.0, 2))
    preempt = refused("preempt", 10, 8, (3.0, 4.0))
    assert preempt.other_ratio == pytest.approx(erlang_b(7.0, 10))      # slots are taken as ever, but by others
    assert preempt.owner_ratio < floor.owner_ratio
    assert preempt.killed_ratio * 4.0 == pytest.approx((floor.owner_ratio - preempt.owner_ratio) * 3.0)


def test_floors_of_nothing_leave_plain_priority_and_keep_the_total_wait() -> None:
    plain = floor_waits_s(3, (0, 0), (1.0, 0.8), 2.0)
    assert plain == pytest.approx(priority_waits_s([0.5, 0.4], 2.0, 3), rel=1e-4)
    floors = floor_waits_s(3, (1, 2), (1.0, 0.8), 2.0)
    assert floors[0] > plain[0]
    assert floors[1] < plain[1]
    assert np.dot(floors, (1.0, 0.8)) == pytest.approx(np.dot(plain, (1.0, 0.8)), rel=1e-4)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 100)), min_size=1, max_size=40), st.integers(1, 4))
def test_waits_of_given_times(jobs: list[tuple[int, int]], servers: int) -> None:
    arrive = np.cumsum([gap for gap, _ in jobs]).tolist()
    service = [length for _, length in jobs]
    lindley = [0]
    for before in range(len(jobs) - 1):
        lindley.append(max(0, lindley[-1] + service[before] - (arrive[before + 1] - arrive[before])))
    assert waits_us(arrive, service, 1) == lindley
    assert all(more <= fewer for more, fewer in zip(waits_us(arrive, service, servers), lindley, strict=True))


@pytest.mark.parametrize(
    "call",
    [
        lambda: erlang_b(0.0, 5),
        lambda: erlang_c(5.0, 5),
        lambda: mmc_wait_s(1.0, float("nan"), 2),
        lambda: mmck(1.0, 1.0, 5, 4),
        lambda: gimc_wait_s(gamma_gaps(2.0, 1.0), 2.0, 1.0, 2),
        lambda: mmpp_wait_s((1.0, 5.0), (1.0, 1.0), 1.0, 2),
        lambda: refused("floor", 10, 10, (1.0, 1.0)),
        lambda: refused("other", 10, 5, (1.0, 1.0)),  # type: ignore[arg-type]
        lambda: floor_waits_s(4, (2, 1), (2.4, 1.5), 1.0, (5, 5)),
        lambda: outage_clears_s(2.0, 100.0, 0.5),
    ],
)
def test_what_has_no_stationary_state_is_refused(call: object) -> None:
    with pytest.raises(TheoryError, match="must"):
        call()  # type: ignore[operator]
