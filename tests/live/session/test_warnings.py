import asyncio

from app.contracts.whisperlive import Handshake
from app.live.metrics import GatewayMetrics
from app.live.policy.dead_audio import DeadAudioRun
from app.live.protocols.whisperlive.renderer import WhisperLiveRenderer
from app.live.session.outbox import Outbox
from app.live.session.warnings import SessionWarnings
from tests.live import virtual


async def texts_of(box):
    """The texts of the messages waiting to be sent."""
    return [getattr(message, "message", None) for message in await box.take()]


def warnings(**handshake):
    """Warnings with their outbox and metrics."""
    box = Outbox(WhisperLiveRenderer("u", last_n=10, with_words=False))
    metrics = GatewayMetrics()
    return SessionWarnings(Handshake(uid="u", **handshake), box, metrics, "s1"), box, metrics


def test_one_warning_per_topic_and_half_minute():
    """One topic is limited to one warning per 30 seconds; another topic is not affected."""

    async def main():
        session_warnings, box, _ = warnings()
        session_warnings.warn("late", "one")
        session_warnings.warn("late", "two")
        session_warnings.warn("dead", "three")
        await asyncio.sleep(31)
        session_warnings.warn("late", "four")
        return await texts_of(box)

    assert virtual.run(main()) == ["one", "three", "four"]


def test_every_loss_is_reported_and_counted():
    """Every loss is reported, and a loss of zero seconds is not."""

    async def main():
        session_warnings, box, metrics = warnings()
        session_warnings.lost(1.5, "overflow")
        session_warnings.lost(2.5, "overflow")
        session_warnings.lost(0.0, "overflow")
        return await texts_of(box), session_warnings.stats["dropped_s"], metrics.render()[0].decode()

    texts, dropped_s, metrics = virtual.run(main())
    assert [text.split(" ")[0] for text in texts] == ["1.5", "2.5"]
    assert dropped_s == 4.0
    assert 'wsgw_dropped_audio_seconds_total{reason="overflow"} 4.0' in metrics


def test_dead_audio_is_named():
    """The user reads what the audio is and for how long."""

    async def main():
        session_warnings, box, _ = warnings()
        session_warnings.dead(DeadAudioRun("zeros", 0, 16_000, report=False), 1.0)
        session_warnings.dead(DeadAudioRun("zeros", 0, 80_000, report=True), 1.0)
        return await texts_of(box)

    (text,) = virtual.run(main())
    assert "nothing but zeros for 5 s" in text
