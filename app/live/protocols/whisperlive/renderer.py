"""Updates to messages, so that the stock WhisperLive client keeps every word exactly once.

That client never takes a partial back, drops a segment that starts before the last one's end,
collapses equal neighbours unless they carry a leading space, and sees only the last N segments of a
message. So: whatever is completed was shown as a partial with the same text just before; starts
never precede the previous end, in whole milliseconds; more than N finals travel in several messages;
an empty list is never sent; and a partial that vanishes is replaced by the last final.
Source: whisper_live 0.10.0 client.py, process_segments and write_srt_file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from app.contracts.whisperlive import Language, Message, SegmentMessage, Transcript, WordMessage
from app.live.policy.segmenting import Segment
from app.live.policy.windows import Update

KEPT_SEGMENTS = 500  # what "all" means when a client asks for 0


class WhisperLiveRenderer:
    """The transcript of one connection as its client sees it."""

    def __init__(self, uid: str, *, last_n: int, with_words: bool) -> None:
        self._uid = uid
        self._last_n = min(last_n or KEPT_SEGMENTS, KEPT_SEGMENTS)
        self._with_words = with_words
        self._completed: deque[SegmentMessage] = deque(maxlen=KEPT_SEGMENTS)
        self._end_ms = 0
        self._shown: SegmentMessage | None = None  # the last partial the client has

    def messages(self, update: Update) -> Iterator[Message]:
        """The messages that bring the client up to date, in the order to send them."""
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
            yield from self._take_back()

    def _complete(self, group: Sequence[Segment]) -> Iterator[Message]:
        """Finals, at most N; the last of them is first shown as the partial it will replace."""
        for segment in group[:-1]:
            self._append(segment)
        last = self._message(group[-1], completed=True)
        if self._shown is None or self._shown.text != last.text:
            yield self._window(last.model_copy(update={"completed": False, "words": None}))
        self._append(group[-1])
        yield self._window(None)

    def _take_back(self) -> Iterator[Message]:
        """A partial came to nothing: show the last final in its place, then as what it is."""
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
        """The last N finals and the partial."""
        self._shown = partial or self._shown
        finals = list(self._completed)[-self._last_n :]
        return Transcript(uid=self._uid, segments=(*finals, partial) if partial else tuple(finals))

    def _append(self, segment: Segment) -> None:
        message = self._message(segment, completed=True)
        self._completed.append(message)
        self._end_ms = max(self._end_ms, _ms(segment.end), _ms(segment.start) + 1)

    def _partial(self, segment: Segment | None) -> SegmentMessage | None:
        return None if segment is None else self._message(segment, completed=False)

    def _message(self, segment: Segment, *, completed: bool) -> SegmentMessage:
        start_ms = max(_ms(segment.start), self._end_ms)
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
            end=_time(max(_ms(segment.end), start_ms + 1)),
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
