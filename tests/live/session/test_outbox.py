import asyncio

from app.contracts.whisperlive import Ready, Transcript
from app.live.policy.hypothesis import Word
from app.live.policy.segmenting import segment_of
from app.live.policy.windows import Update
from app.live.protocols.whisperlive.renderer import WhisperLiveRenderer
from app.live.session.outbox import Outbox
from tests.live import virtual


def outbox():
    """An empty outbox."""
    return Outbox(WhisperLiveRenderer("u", last_n=10, with_words=False))


def seg(text, at, *, completed):
    """A segment of one word."""
    return segment_of([Word(at, at + 1, f" {text}")], completed=completed)


def final_texts(messages):
    """Texts of completed segments."""
    return [s.text for m in messages if isinstance(m, Transcript) for s in m.segments if s.completed]


def test_slow_reader_gets_all_finals_and_the_newest_partial():
    """A hundred updates that were not sent become a few messages, without losing a completed segment."""

    async def main():
        box = outbox()
        for i in range(100):
            box.update(
                Update(
                    completed=(seg(f"f{i}", 2 * i, completed=True),), partial=seg(f"p{i}", 2 * i + 1, completed=False)
                )
            )
        messages = await box.take()
        assert {f" f{i}" for i in range(100)} <= set(final_texts(messages))
        partials = [s.text for m in messages if isinstance(m, Transcript) for s in m.segments if not s.completed]
        assert partials[-1] == " p99"
        assert len(messages) < 30

    virtual.run(main())


def test_notices_come_before_text():
    """READY comes first, whatever else is waiting."""

    async def main():
        box = outbox()
        box.update(Update(completed=(seg("a", 0, completed=True),)))
        box.put(Ready(uid="u"))
        assert isinstance((await box.take())[0], Ready)

    virtual.run(main())


def test_take_waits_for_news():
    """An update that changes nothing leads to no message."""

    async def main():
        box = outbox()
        taking = asyncio.create_task(box.take())
        box.update(Update())
        await asyncio.sleep(1)
        assert not taking.done()
        box.put(Ready(uid="u"))
        assert len(await taking) == 1

    virtual.run(main())


def test_drained_when_sent():
    """The end waits until the messages taken are sent, not only taken."""

    async def main():
        box = outbox()
        await box.wait_empty()
        box.put(Ready(uid="u"))
        draining = asyncio.create_task(box.wait_empty())
        await box.take()
        await asyncio.sleep(1)
        assert not draining.done()
        box.sent()
        await draining

    virtual.run(main())
