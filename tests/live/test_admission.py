import pytest

from app.live.admission import Caller, StreamLimits, refusal

LIMITS = StreamLimits(max_clients=4, max_per_key=3, max_per_address=2)
ALICE = Caller(key="a1", address="203.0.113.1")
ALICE_ELSEWHERE = Caller(key="a1", address="203.0.113.9")
STRANGER = Caller(address="203.0.113.1")
NEIGHBOUR = Caller(address="203.0.113.2")
HERE = Caller()


@pytest.mark.parametrize(
    ("caller", "streams", "reason"),
    [
        (STRANGER, [], None),
        (STRANGER, [STRANGER], None),
        (STRANGER, [STRANGER] * 2, "address_limit"),
        (NEIGHBOUR, [STRANGER] * 2, None),
        (NEIGHBOUR, [STRANGER, STRANGER, HERE, HERE], "full"),
        (HERE, [HERE] * 3, None),
        (HERE, [HERE] * 4, "full"),
        (ALICE, [ALICE, ALICE_ELSEWHERE], None),
        (ALICE, [ALICE, ALICE_ELSEWHERE, ALICE_ELSEWHERE], "key_limit"),
        (ALICE_ELSEWHERE, [ALICE, ALICE], None),
        (ALICE, [ALICE, ALICE], "address_limit"),
    ],
)
def test_the_limit_that_is_reached_is_named(caller, streams, reason):
    """Four in all, three per key, two per address; a client on this machine has no limit of its own."""
    assert refusal(caller, streams, LIMITS) == reason


@pytest.mark.parametrize(("of_gateway", "of_key", "allowed"), [(0, 2, 2), (3, 2, 2), (2, 3, 2), (2, 0, 2)])
def test_the_lower_limit_of_a_key_counts(of_gateway, of_key, allowed):
    """A key of the keys file has its own limit beside MAX_STREAMS_PER_KEY."""
    limits = StreamLimits(max_per_key=of_gateway)
    caller = Caller(key="a1", max_streams=of_key)
    assert refusal(caller, [caller] * (allowed - 1), limits) is None
    assert refusal(caller, [caller] * allowed, limits) == "key_limit"


def test_limits_of_0_are_no_limits():
    """Without a limit, one key or address can use every place."""
    limits = StreamLimits(max_clients=100)
    assert refusal(ALICE, [ALICE] * 99, limits) is None
    assert refusal(STRANGER, [STRANGER] * 99, limits) is None


def test_the_key_identifies_a_client_if_there_is_one():
    """With a key, a client is the same from any address; without one, its address identifies it."""
    assert ALICE.identity == ALICE_ELSEWHERE.identity
    assert STRANGER.identity not in {ALICE.identity, NEIGHBOUR.identity, HERE.identity}
