"""One live stream's whole policy: what to send next, what to believe of the answer, what to forget.

Pure: audio and times come in as values, windows and updates go out, so any meeting can be replayed
in a test. At most one window is out at a time; refused audio simply stays in the buffer, and the
next window, cut when it is sent, is newer and larger. Audio leaves only when it was heard, when it
is clearly silent, or, loudly, when the caller says that memory is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.core.pcm import SAMPLE_RATE_HZ, Pcm16, to_samples
from app.live.policy.activity import Activity
from app.live.policy.agreement import Pass, decide, ended_before
from app.live.policy.arrivals import Arrivals
from app.live.policy.buffer import AudioBuffer
from app.live.policy.dead_audio import DeadAudioDetector, DeadAudioRun
from app.live.policy.durations import StreamPolicy
from app.live.policy.hypothesis import Hypothesis, Word
from app.live.policy.language import SURE, LanguageVotes
from app.live.policy.overlap import count_committed, without_loops
from app.live.policy.planning import WindowSpan, due_window, trailing_silence
from app.live.policy.prompt import CommittedContext
from app.live.policy.segmenting import Segment, Segmenter, segment_of
from app.live.policy.windows import LiveWindow, Update, WindowReason

LEAST_WINDOW_S = 6.0  # time-outs shorten windows down to this: enough to hear a sentence in
LONGER = 1.25  # and each answer lengthens them; doubling would time out again every other time
EMPTY_PASSES = 2  # hearing nothing twice is believed, like hearing a word twice


class Stream:
    """The audio and the words of one connection; not shared, no clock of its own."""

    def __init__(self, policy: StreamPolicy, *, language: str | None = None, preface: str = "") -> None:
        self._policy = policy
        self._buffer = AudioBuffer()
        self._activity = Activity()
        self._dead = DeadAudioDetector()
        self._arrivals = Arrivals()
        self._context = CommittedContext(preface=preface, policy=policy)
        self._sentences = Segmenter(max_segment_s=policy.max_segment_s, gap_s=policy.gap_s)
        self._votes = LanguageVotes(language)
        self._language_told = language is not None
        self._cut = 0  # audio before it is done with
        self._heard_to = 0  # end of the last window that was answered
        self._previous: Pass | None = None
        self._closing_due = False  # the last pass was open: a pause deserves one more
        self._empty_passes = 0
        self._out: LiveWindow | None = None
        self._sent = 0
        self._retry_at_s = 0.0
        self._longest_s = policy.max_window_s  # of a window; less after time-outs
        self._last_feed_s = 0.0
        self._finished = False

    # What a caller may ask.

    @property
    def received_s(self) -> float:
        """Seconds of audio received: the time axis."""
        return self._buffer.end / SAMPLE_RATE_HZ

    @property
    def buffered_s(self) -> float:
        """Seconds of audio held."""
        return (self._buffer.end - self._buffer.start) / SAMPLE_RATE_HZ

    @property
    def done(self) -> bool:
        """The stream is over and nothing more will come of it."""
        return self._finished and self._out is None and not self._pending() and not self._sentences.open_words

    @property
    def finished(self) -> bool:
        """No more audio will be fed."""
        return self._finished

    def due(self, now_s: float) -> bool:
        """Would `next_window` give one now?"""
        return self._plan(now_s) is not None

    def wake_at_s(self) -> float | None:
        """When to look again although no audio arrives; None if only audio can change anything."""
        if self._out is not None or not (self._pending() or self._sentences.open_words):
            return None
        return max(self._retry_at_s, 0.0 if self._finished else self._last_feed_s + self._policy.idle_flush_s)

    def waiting_since_s(self) -> float | None:
        """When the oldest speech that is not final arrived; None if there is none."""
        if not self._pending() and self._out is None:
            return None
        onset = self._activity.first_active(max(self._cut, to_samples(self._context.end_s)))
        return None if onset is None else self._arrivals.of(onset)

    # What a caller may tell.

    def feed(self, pcm: Pcm16, now_s: float) -> DeadAudioRun | None:
        """Take the client's next samples, [n] int16; returns the dead run they belong to, if any."""
        start = self._buffer.end
        self._buffer.append(pcm)
        self._activity.feed(pcm)
        self._arrivals.add(self._buffer.end, now_s)
        self._last_feed_s = now_s
        run = self._dead.feed(pcm, start)
        if run is not None:
            self._activity.silence(run.start, run.end)
        self._skip_silence()
        return run

    def finish(self) -> None:
        """No more audio will come: whatever is buffered is due at once."""
        self._finished = True

    def settle(self, now_s: float) -> Update | None:
        """Complete a sentence whose words are all final once the speaker paused; needs no request."""
        if self._out is not None or self._pending() or not self._sentences.open_words or self._quiet(now_s) is None:
            return None
        return Update(completed=tuple(self._sentences.add((), close=True)))

    def next_window(self, now_s: float) -> LiveWindow | None:
        """The newest window, if one is due; the caller answers with `apply`, `refused` or `skip`."""
        due_window = self._plan(now_s)
        if due_window is None:
            return None
        self._sent += 1
        self._out = LiveWindow(
            number=self._sent,
            start=due_window.start,
            end=due_window.end,
            pcm=self._buffer.read(due_window.start, due_window.end),
            why=due_window.why,
            prompt=self._context.prompt(due_window.start / SAMPLE_RATE_HZ),
            language=self._votes.hint(),
        )
        return self._out

    def refused(self, window: LiveWindow, retry_at_s: float, *, timed_out: bool = False) -> None:
        """The service did not take it: keep everything, ask again with more audio from `retry_at_s`.

        One that ran out of time may be too slow for so long a window: the longest is halved, until answers come.
        """
        if window is self._out:
            self._out = None
            self._retry_at_s = retry_at_s
            if timed_out:
                self._longest_s = max(LEAST_WINDOW_S, self._longest_s / 2)

    def forget_language(self) -> None:
        """The service does not know the language it was told: detect from now on."""
        self._votes = LanguageVotes(None)

    def skip(self, window: LiveWindow) -> tuple[Update, float]:
        """The service will never take this audio: go on behind it; also returns the seconds nobody heard."""
        if window is not self._out:
            return Update(partial=self._partial()), 0.0
        self._out = None
        lost = window.end - max(window.start, self._heard_to, to_samples(self._context.end_s))
        return self._start_over(window.end), max(0, lost) / SAMPLE_RATE_HZ

    def drop_oldest(self, keep_s: float) -> tuple[Update, float]:
        """Memory is full: keep the newest `keep_s` seconds; also returns the seconds nobody heard."""
        cut = self._buffer.end - to_samples(keep_s)
        if cut <= self._cut:
            return Update(partial=self._partial()), 0.0
        self._out = None  # its answer, should one come, is about audio that was given up
        lost = cut - max(self._cut, self._heard_to, to_samples(self._context.end_s))
        return self._start_over(cut), max(0, lost) / SAMPLE_RATE_HZ

    def give_up(self) -> tuple[Update, float]:
        """The stream ends now: what was heard so far is final; also returns the seconds nobody heard."""
        lost = self._activity.active_samples(max(self._cut, self._heard_to), self._buffer.end)
        self._out = None
        return self._start_over(self._buffer.end), lost / SAMPLE_RATE_HZ

    def apply(self, window: LiveWindow, heard: Hypothesis, now_s: float) -> Update:
        """Believe what can be believed of an answer."""
        if window is not self._out:
            return Update(partial=self._partial())
        self._out, self._retry_at_s, self._heard_to = None, 0.0, window.end
        start_s, end_s = window.start / SAMPLE_RATE_HZ, window.end / SAMPLE_RATE_HZ
        said = [word.shifted(start_s) for word in heard.words]
        words = without_loops(said)
        if len(words) < len(said):
            self._context.forget()
        fresh = words[count_committed(words, self._context.tail) :]
        current = Pass(tuple(fresh), start_s, end_s, window.closed)
        decision = decide(self._previous, current, self._policy)
        count = decision.count or (ended_before(current.words, end_s) if self._grown(window) else 0)
        # A word that the model stretches into the pause ends with its sound: behind the cut it would hide the next.
        sound_end = self._activity.last_active_end(window.end) or window.end
        final = [word.within(self._context.end_s, sound_end / SAMPLE_RATE_HZ) for word in fresh[:count]]
        latencies = tuple(now_s - self._arrivals.of(to_samples(word.end) - 1) for word in final)
        self._empty_passes = 0 if words else self._empty_passes + 1
        self._context.commit(final)
        self._previous = None if window.closed else replace(current, words=tuple(fresh[count:]))
        self._closing_due = not window.closed
        self._move_cut(window, words)
        self._longest_s = min(self._policy.max_window_s, LONGER * self._longest_s)
        seconds = sum(word.end - word.start for word in final)
        self._votes.heard(heard.language, heard.language_probability, seconds, hinted=window.language is not None)
        completed = self._sentences.add(final, close=window.closed, language=heard.language)
        language = self._tell_language(heard, certain=bool(final))
        return Update(
            completed=tuple(completed),
            partial=self._partial() if self._language_told or heard.language is None else None,
            language=language,
            reason=decision.reason,
            commit_latency_s=latencies,
        )

    # How it decides.

    def _pending(self) -> bool:
        """Is there speech that no pass has heard, or only an open one?"""
        start = max(self._cut, self._heard_to)
        return self._closing_due or self._activity.active_samples(start, self._buffer.end) > 0

    def _quiet(self, now_s: float) -> WindowReason | None:
        """Has the stream ended, the speaker paused, or the client?"""
        if self._finished:
            return "end"
        if trailing_silence(self._activity, self._buffer.end) >= to_samples(self._policy.pause_s):
            return "pause"
        return "idle" if now_s - self._last_feed_s >= self._policy.idle_flush_s else None

    def _plan(self, now_s: float) -> WindowSpan | None:
        if self._out is not None or now_s < self._retry_at_s or not self._pending():
            return None
        return due_window(
            self._activity,
            self._policy,
            cut=self._cut,
            heard_to=self._heard_to,
            end=self._buffer.end,
            quiet=self._quiet(now_s),
            step_s=self._step_s(),
            longest_s=self._longest_s,
        )

    def _step_s(self) -> float:
        """The step, longer while passes hear nothing: noise is worth fewer requests than speech."""
        backoff = self._policy.step_s * 2.0 ** max(0, self._empty_passes - 1)
        return max(self._policy.step_s, min(backoff, self._policy.empty_backoff_s))

    def _grown(self, window: LiveWindow) -> bool:
        """It cannot grow, so it must not be asked for again: it commits something, if need be all."""
        return window.duration_s >= self._longest_s - self._policy.step_s

    def _partial(self) -> Segment | None:
        tentative = self._previous.words if self._previous else ()
        words = (*self._sentences.open_words, *tentative)
        return segment_of(words, completed=False) if words else None

    def _tell_language(self, heard: Hypothesis, *, certain: bool) -> tuple[str, float] | None:
        """The language, the first time it is known well enough, or text has to go out."""
        if self._language_told or heard.language is None or not heard.words:
            return None
        if heard.language_probability <= SURE and not certain:
            return None
        self._language_told = True
        return heard.language, heard.language_probability

    # What it forgets.

    def _move_cut(self, window: LiveWindow, words: Sequence[Word]) -> None:
        grown = self._grown(window)
        if window.closed:
            self._forget_before(self._closed_cut(window, words))
        elif not words and not self._context.tail and (self._empty_passes >= EMPTY_PASSES or grown):
            self._previous = None
            self._forget_before(window.end - to_samples(self._policy.guard_s))
        elif window.duration_s > self._policy.trim_s or grown:
            point = self._context.trim_point(window.start / SAMPLE_RATE_HZ)
            if point is None and grown:
                point = (
                    self._context.end_s if self._context.tail else window.end / SAMPLE_RATE_HZ - self._policy.guard_s
                )
            if point is not None:
                self._forget_before(to_samples(point))

    def _closed_cut(self, window: LiveWindow, words: Sequence[Word]) -> int:
        """Behind the last sound; or, when frames stopped in the middle of one, before the last word."""
        sound_end = self._activity.last_active_end(window.end) or window.start
        if window.why == "idle" and words and window.end - sound_end < to_samples(self._policy.hold_s):
            return max(window.start, to_samples(words[-1].start))
        return max(sound_end, window.end - to_samples(self._policy.preroll_s))

    def _skip_silence(self) -> None:
        """Nothing is pending: only the pre-roll of what may come next is worth keeping."""
        if self._out is None and not self._pending():
            self._forget_before(self._buffer.end - to_samples(self._policy.preroll_s))

    def _start_over(self, cut: int) -> Update:
        """Go on at `cut` as if nothing had been heard before; what was heard of the audio given up is final.

        A word that the cut divides counts as heard: what is left of it is recognised and not said again.
        """
        tentative = self._previous.words if self._previous else ()
        cut_s = cut / SAMPLE_RATE_HZ
        final = [word.within(self._context.end_s, word.end) for word in tentative if word.start < cut_s]
        self._context.commit(final)
        completed = self._sentences.add(final, close=True)
        self._heard_to = cut  # what was only tentative behind it is heard again
        self._previous, self._closing_due = None, False
        self._forget_before(cut)
        return Update(completed=tuple(completed))

    def _forget_before(self, cut: int) -> None:
        if cut <= self._cut:
            return
        self._cut = cut
        self._context.move_cut(cut / SAMPLE_RATE_HZ)
        self._buffer.drop_before(cut)
        self._activity.drop_before(cut)
        self._arrivals.drop_before(cut)
