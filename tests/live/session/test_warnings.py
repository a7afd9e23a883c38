import asyncio

from app.contracts.whisperlive import Handshake
from app.live.metrics import GatewayMetrics
from app.live.policy.dead_audio import DeadAudioRun
from app.live.protocols.whisperlive.renderer import WhisperLiveRenderer
from app.live.session.outbox import Outbox
from app.live.session.warnings import SessionWarnings
from tests.live import virtual


async def texts(box):
    """The texts of what waits to be sent."""
    return [getattr(message, "message", None) for message in await box.take()]


def warnings(**handshake):
    """Notices with their outbox and metrics."""
    box = Outbox(WhisperLiveRenderer("u", last_n=10, with_words=False))
    metrics = GatewayMetrics()
    return SessionWarnings(Handshake(uid="u", **handshake), box, metrics, "s1"), box, metrics


def test_one_warning_per_topic_and_half_minute():
    """Nobody is flooded; another topic, or the same one later, is heard."""

    async def main():
        telling, box, _ = warnings()
        telling.warn("late", "one")
        telling.warn("late", "two")
        telling.warn("dead", "three")
        await asyncio.sleep(31)
        telling.warn("late", "four")
        return await texts(box)

    assert virtual.run(main()) == ["one", "three", "four"]


def test_every_loss_is_told_and_counted():
    """Losses are never merged into silence, and nothing lost is nothing told."""

    async def main():
        telling, box, metrics = warnings()
        telling.lost(1.5, "overflow")
        telling.lost(2.5, "overflow")
        telling.lost(0.0, "overflow")
        return await texts(box), telling.stats["dropped_s"], metrics.text().decode()

    told, dropped_s, metrics = virtual.run(main())
    assert [text.split(" ")[0] for text in told] == ["1.5", "2.5"]
    assert dropped_s == 4.0
    assert 'wsgw_dropped_audio_seconds_total{reason="overflow"} 4.0' in metrics


def test_dead_audio_is_named():
    """The person reads what the audio is and for how long."""

    async def main():
        telling, box, _ = warnings()
        telling.dead(DeadAudioRun("zeros", 0, 16_000, report=False), 1.0)
        telling.dead(DeadAudioRun("zeros", 0, 80_000, report=True), 1.0)
        return await texts(box)

    (text,) = virtual.run(main())
    assert "nothing but zeros for 5 s" in text
