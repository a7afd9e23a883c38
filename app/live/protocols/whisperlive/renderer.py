"""Updates to WhisperLive messages, so that the stock client keeps every word exactly once. Pure.

That client never removes a partial, drops a segment that starts before the last one's end, merges
equal neighbours without a leading space, and reads only the last N segments of a message. So every
completed segment is sent as a partial with the same text just before; a segment never starts before
the previous end, in whole milliseconds; more than N completed segments are sent in several messages;
an empty list is never sent; and a partial that is withdrawn is replaced by the last completed one.
Source: whisper_live 0.10.0 client.py, process_segments and write_srt_file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from app.contracts.whisperlive import Language, Message, SegmentMessage, Transcript, WordMessage
from app.live.policy.segment_times import placed_ms
from app.live.policy.segmenting import Segment
from app.live.policy.windows import Update

KEPT_SEGMENTS = 500  # a client that requests 0, which means all, gets these


class WhisperLiveRenderer:
    """The transcript of one connection as its client has it."""

    def __init__(self, uid: str, *, last_n: int, with_words: bool) -> None:
        self._uid = uid
        self._last_n = min(last_n or KEPT_SEGMENTS, KEPT_SEGMENTS)
        self._with_words = with_words
        self._completed: deque[SegmentMessage] = deque(maxlen=KEPT_SEGMENTS)
        self._end_ms = 0
        self._shown: SegmentMessage | None = None  # the last partial the client has

    def messages(self, update: Update) -> Iterator[Message]:
        """The messages for an update, in the order to send them."""
        if update.language is not None:
            code, probability = update.language
            yield Language(uid=self._uid, language=code, language_prob=round(probability, 4))
        groups = [update.completed[i : i + self._last_n] for i in range(0, len(update.completed), self._last_n)]
        for group in groups:
            yield from self._complete(group)
        partial = self._partial(update.partial)
        if partial is not None and partial != self._shown:
            yield self._window(partial)
        elif partial is None and self._shown is not None:
            yield from self._withdraw()

    def _complete(self, group: Sequence[Segment]) -> Iterator[Message]:
        """At most N completed segments; the last one is first sent as a partial."""
        for segment in group[:-1]:
            self._append(segment)
        last = self._message(group[-1], completed=True)
        if self._shown is None or self._shown.text != last.text:
            yield self._window(last.model_copy(update={"completed": False, "words": None}))
        self._append(group[-1])
        yield self._window(None)

    def _withdraw(self) -> Iterator[Message]:
        """Withdraw the partial: send the last completed segment in its place, first as a partial, then as completed."""
        if self._shown and self._completed and self._shown.text != self._completed[-1].text:
            last = self._completed[-1]
            before = list(self._completed)[-self._last_n - 1 : -1]
            shown = last.model_copy(update={"completed": False, "words": None})
            yield Transcript(uid=self._uid, segments=(*before, shown))
            yield self._window(None)
        elif self._shown and not self._completed and self._shown.text.strip():
            yield self._window(self._shown.model_copy(update={"text": " "}))
        self._shown = None

    def _window(self, partial: SegmentMessage | None) -> Transcript:
        """The last N completed segments and the partial."""
        self._shown = partial or self._shown
        completed = list(self._completed)[-self._last_n :]
        return Transcript(uid=self._uid, segments=(*completed, partial) if partial else tuple(completed))

    def _append(self, segment: Segment) -> None:
        message = self._message(segment, completed=True)
        self._completed.append(message)
        _, self._end_ms = placed_ms(segment.start, segment.end, after_ms=self._end_ms)

    def _partial(self, segment: Segment | None) -> SegmentMessage | None:
        return None if segment is None else self._message(segment, completed=False)

    def _message(self, segment: Segment, *, completed: bool) -> SegmentMessage:
        start_ms, end_ms = placed_ms(segment.start, segment.end, after_ms=self._end_ms)
        words = None
        if self._with_words and completed:
            words = tuple(
                WordMessage(
                    word=w.text,
                    start=_time(_ms(w.start)),
                    end=_time(_ms(w.end)),
                    probability=round(w.probability, 4),
                )
                for w in segment.words
            )
        return SegmentMessage(
            start=_time(start_ms),
            end=_time(end_ms),
            text=segment.text,
            completed=completed,
            words=words,
            language=segment.language if completed else None,
        )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _time(milliseconds: int) -> str:
    """Seconds as WhisperLive writes them: a string with three decimals."""
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"
