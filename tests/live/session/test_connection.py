from app.live.session.connection import CLOSE_CODES, SessionEnd


def test_every_orderly_ending_has_a_close_code():
    """Whoever is flushed is also told goodbye; only who left, is stuck or came back is not."""
    assert {ending for ending in SessionEnd if ending not in CLOSE_CODES} == {
        SessionEnd.LEFT,
        SessionEnd.STUCK,
        SessionEnd.REPLACED,
    }
    assert all(ending in CLOSE_CODES for ending in SessionEnd if ending.flushes)


def test_close_codes_are_those_of_the_contract():
    """1000 for an end both sides wanted, 1012 for a restart: clients reconnect on the second."""
    assert CLOSE_CODES[SessionEnd.END_OF_AUDIO][0] == 1000
    assert CLOSE_CODES[SessionEnd.DRAIN][0] == 1012
    assert CLOSE_CODES[SessionEnd.FAILED][0] == 1011
