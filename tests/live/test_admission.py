import pytest

from app.live.admission import Caller, ConnectionLimits, refusal

LIMITS = ConnectionLimits(max_clients=4, max_per_key=3, max_per_address=2)
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
    """In all four, three of one key, two of one address; a client on this machine counts in all only."""
    assert refusal(caller, streams, LIMITS) == reason


def test_limits_of_0_are_no_limits():
    """Without a limit of its own, one key or address may have every place."""
    limits = ConnectionLimits(max_clients=100)
    assert refusal(ALICE, [ALICE] * 99, limits) is None
    assert refusal(STRANGER, [STRANGER] * 99, limits) is None


def test_a_key_is_the_identity_where_there_is_one():
    """A client that comes back from another address is the same client by its key, without a key by its address."""
    assert ALICE.identity == ALICE_ELSEWHERE.identity
    assert STRANGER.identity not in {ALICE.identity, NEIGHBOUR.identity, HERE.identity}
