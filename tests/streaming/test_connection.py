from app.streaming.connection import CLOSE, Ending


def test_every_orderly_ending_has_a_close_code():
    """Whoever is flushed is also told goodbye; only who left, is stuck or came back is not."""
    assert {ending for ending in Ending if ending not in CLOSE} == {Ending.LEFT, Ending.STUCK, Ending.REPLACED}
    assert all(ending in CLOSE for ending in Ending if ending.flushes)


def test_close_codes_are_those_of_the_contract():
    """1000 for an end both sides wanted, 1012 for a restart: clients reconnect on the second."""
    assert CLOSE[Ending.END_OF_AUDIO][0] == 1000
    assert CLOSE[Ending.DRAIN][0] == 1012
    assert CLOSE[Ending.FAILED][0] == 1011
