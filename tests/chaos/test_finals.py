from __future__ import annotations

from tests.chaos.disturbances import Disturbance, Disturbances
from tests.chaos.finals import Received, compare, final_of
from tests.chaos.heard import Heard

ONE = final_of("a", "0.000", "1.500", " one")
TWO = final_of("a", 1.5, 2.0, "two")
QUIET = Disturbances()


def test_stored_once_is_right():
    """Spaces and the writing of times do not count."""
    found = compare([Received(ONE, 10.0), Received(TWO, 11.0)], [final_of("a", 0, 1.5, "one"), TWO], QUIET)
    assert (found.received, found.stored, found.lost, found.doubled, found.unpromised) == (2, 2, (), (), 0)


def test_lost_and_doubled_finals_are_found():
    """The same segment of another session is another one."""
    found = compare([Received(ONE, 10.0), Received(TWO, 11.0)], [ONE, ONE, final_of("b", 1.5, 2.0, "two")], QUIET)
    assert found.lost == (TWO,)
    assert found.doubled == (ONE,)


def test_a_killed_gateway_may_lose_the_last_moment():
    """What came within the second before the kill is not promised; what came before that is."""
    faults = Disturbances([Disturbance("gateway", "kill", "gateway-1", 20.0, 20.0, 21.0)])
    found = compare([Received(ONE, 18.9), Received(TWO, 19.5)], [], faults)
    assert found.lost == (ONE,)
    assert found.unpromised == 1
    frozen = Disturbances([Disturbance("gateway", "stop", "gateway-1", 20.0, 23.0, 23.0)])
    assert compare([Received(TWO, 19.5)], [], frozen).lost == (TWO,)


def test_messages_repeat_finals_and_a_final_counts_once():
    """Text that may change is not kept; the time is that of the first message."""
    heard = Heard()
    segments = [{"start": "0.0", "end": "1.5", "text": " one", "completed": True}]
    draft = {"start": "1.5", "end": "2.0", "text": "two", "completed": False}
    heard.message({"uid": "a", "segments": [*segments, draft]}, 10.0)
    heard.message({"uid": "a", "segments": segments}, 12.0)
    assert list(heard.finals.values()) == [Received(ONE, 10.0)]
    assert heard.connections == {"a"}


def test_lost_audio_is_kept_as_a_warning_and_a_lost_connection_is_not():
    """The client's own notice of a reconnect is no loss, and late text is none either."""
    heard = Heard()
    heard.notice("connection lost, trying again")
    heard.notice("The transcription service is busy: text is 11 s late. No audio is lost.")
    heard.notice("2.5 s of audio were lost")
    assert heard.warnings == ["2.5 s of audio were lost"]
