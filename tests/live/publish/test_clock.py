from app.live.publish.clock import MAX_POINTS, SessionClock

START_MS = 1_770_000_000_000


def test_a_client_in_real_time_keeps_its_own_clock():
    """Frames that come with a little jitter do not move the times."""
    clock = SessionClock(START_MS)
    for n in range(100):
        clock.arrived(n * 256, START_MS + n * 256 + (n * 37) % 90)
    assert clock.at(12_345) == START_MS + 12_345


def test_a_file_sent_fast_keeps_its_own_clock():
    """Audio that comes sooner than it plays has the times of the recording."""
    clock = SessionClock(START_MS)
    for n in range(100):
        clock.arrived(n * 256, START_MS + n * 10)
    assert clock.at(20_000) == START_MS + 20_000


def test_audio_after_a_pause_was_said_when_it_arrived():
    """A client that sends nothing for a minute does not drift; what it sent before keeps its times."""
    clock = SessionClock(START_MS)
    clock.arrived(0, START_MS)
    clock.arrived(5000, START_MS + 65_000)
    clock.arrived(6000, START_MS + 66_000)
    assert clock.at(4000) == START_MS + 4000
    assert clock.at(5500) == START_MS + 65_500
    assert clock.at(9000) == START_MS + 69_000


def test_a_client_that_catches_up_returns_to_its_own_clock():
    """After a stall of the network, audio that was held back arrives at once, and what follows is on time."""
    clock = SessionClock(START_MS)
    clock.arrived(0, START_MS)
    for n in range(20):  # 5 s of audio, all of it at second 5
        clock.arrived(n * 256, START_MS + 5000)
    clock.arrived(5120, START_MS + 5130)
    assert START_MS + 5000 <= clock.at(1000) <= START_MS + 5300
    assert clock.at(5500) == START_MS + 5500


def test_what_no_segment_needs_is_forgotten():
    """Points before the last final are dropped, and no client makes the list grow without limit."""
    clock = SessionClock(START_MS)
    for n in range(10):
        clock.arrived(n * 1000, START_MS + n * 61_000)
    clock.forget_before(8500)
    assert len(clock._audio_ms) == 2
    assert clock.at(8500) == START_MS + 8 * 61_000 + 500
    for n in range(10, 3 * MAX_POINTS):
        clock.arrived(n * 1000, START_MS + n * 61_000)
    assert len(clock._audio_ms) <= MAX_POINTS
