"""Laws of the queue: order by fair-share tag, then arrival; nobody lost; a noisy tenant delays itself."""

import heapq

from hypothesis import given
from hypothesis import strategies as st

from policies import queues
from policies.plain import plain
from policies.state import NO_SLOT
from tests.policies.small_state import small_state

push, remove, fix_tag, advance = (plain(f) for f in (queues.push, queues.remove, queues.fix_tag, queues.advance))
moves = st.lists(st.one_of(st.tuples(st.just("in"), st.integers(0, 9)), st.tuples(st.just("out"), st.integers(0, 63))), max_size=80)


def enter(state, slot, number, *, tenant=0, tag=-1, tokens=100):
    request = state.requests[slot]
    request["request"], request["tenant"], request["tier"] = number, tenant, state.tenants[tenant]["tier"]
    request["tag"], request["tagged"], request["input_tokens"], request["max_output_tokens"] = tag, tag >= 0, tokens, 0
    fix_tag(state, slot)
    push(state, 0, slot)


@given(moves=moves)
def test_the_head_is_always_the_earliest_whoever_leaves(moves):
    _block, state = small_state()
    waiting, free = {}, list(range(64))
    for number, (move, value) in enumerate(moves):
        if move == "in" and free:
            slot = free.pop()
            enter(state, slot, number, tag=value)
            waiting[slot] = (value, number)
        elif move == "out" and waiting:
            slot = sorted(waiting)[value % len(waiting)]
            remove(state, 0, slot)
            del waiting[slot]
            free.append(slot)
        head = min(waiting, key=lambda slot: waiting[slot]) if waiting else NO_SLOT
        assert state.segments[0]["head"] == head
        assert state.segments[0]["count"] == state.pulse[0]["waiting"] == len(waiting)
        assert state.pulse[0]["waiting_segments"] == bool(waiting)


def serve_all(state):
    """Tenants in the order in which their requests leave."""
    order = []
    while state.segments[0]["count"]:
        slot = int(state.segments[0]["head"])
        advance(state, slot)
        remove(state, 0, slot)
        order.append(int(state.requests[slot]["tenant"]))
    return order


@given(tokens=st.lists(st.integers(1, 5000), min_size=1, max_size=60))
def test_one_tenant_is_served_in_order_of_arrival(tokens):
    _block, state = small_state()
    for slot, size in enumerate(tokens):
        enter(state, slot, slot, tokens=size)
    left = []
    while state.segments[0]["count"]:
        head = int(state.segments[0]["head"])
        left.append(int(state.requests[head]["request"]))
        advance(state, head)
        remove(state, 0, head)
    assert left == sorted(left)


@given(sizes=st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 3000)), min_size=1, max_size=30))
def test_two_tenants_who_both_wait_get_equal_work_to_within_a_request_each(sizes):
    """Start-time fair queueing: |W1 - W2| <= largest request of 1 + largest request of 2, while both wait."""
    _block, state = small_state()
    for number, (one, other) in enumerate(sizes):
        enter(state, 2 * number, 2 * number, tenant=0, tokens=one)
        enter(state, 2 * number + 1, 2 * number + 1, tenant=1, tokens=other)
    left, work = [len(sizes)] * 2, [0, 0]
    largest = max(one for one, _ in sizes) + max(other for _, other in sizes) + 2
    while all(left):
        slot = int(state.segments[0]["head"])
        tenant = int(state.requests[slot]["tenant"])
        advance(state, slot)
        remove(state, 0, slot)
        left[tenant] -= 1
        work[tenant] += int(state.requests[slot]["input_tokens"]) + 1
        assert abs(work[0] - work[1]) <= largest


def test_a_weight_of_two_gets_twice_the_work():
    _block, state = small_state(weights=(1.0, 2.0))
    for number in range(60):
        enter(state, number, number, tenant=number % 2, tokens=999)
    served = serve_all(state)[:30]
    assert served.count(1) == 2 * served.count(0)


@given(noise=st.integers(5, 50))
def test_a_quiet_tenants_request_waits_for_one_of_a_noisy_one_not_for_all(noise):
    _block, state = small_state()
    for number in range(noise):
        enter(state, number, number, tenant=0)
    enter(state, 60, 60, tenant=1)
    assert serve_all(state).index(1) <= 1


def test_who_was_idle_earns_no_credit():
    """A tenant that comes late starts from where the others are, not from where they began."""
    _block, state = small_state()
    for number in range(20):
        enter(state, number, number, tenant=0)
    serve_all(state)
    for number in range(20, 40):
        enter(state, number, number, tenant=number % 2)
    assert serve_all(state)[:6].count(1) <= 4


@given(ready=st.lists(st.integers(0, 20), min_size=1, max_size=40))
def test_equal_tags_leave_by_arrival(ready):
    _block, state = small_state()
    heap = []
    for slot, tag in enumerate(ready):
        enter(state, slot, slot, tag=tag)
        heapq.heappush(heap, (tag, slot))
    while heap:
        _, slot = heapq.heappop(heap)
        assert state.segments[0]["head"] == slot
        remove(state, 0, slot)
