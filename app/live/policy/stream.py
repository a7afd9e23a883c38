"""The policy of one live stream: what to send next, which words to commit, which audio to drop. Pure.

Audio and times come in as values, windows and updates go out, so any meeting can be replayed in a
test. At most one window is in flight. Refused audio stays in the buffer, and the next window, cut
when it is sent, is newer and larger. Audio is dropped only when it is transcribed, when it is clearly
silent, or, with a warning, when the caller reports that memory is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.core.pcm import SAMPLE_RATE_HZ, Pcm16, to_samples
from app.live.policy.activity import Activity
from app.live.policy.agreement import WindowHypothesis, decide, end_of_heard, ended_before
from app.live.policy.buffer import Arrivals, AudioBuffer
from app.live.policy.dead_audio import DeadAudioDetector, DeadAudioRun
from app.live.policy.hypothesis import Hypothesis, Word
from app.live.policy.language import LanguageVotes
from app.live.policy.overlap import count_committed, is_mostly_loops, without_loops
from app.live.policy.prompt import CommittedContext
from app.live.policy.segmenting import Segment, Segmenter, segment_of
from app.live.policy.stream_policy import StreamPolicy
from app.live.policy.unheard import may_hold_speech
from app.live.policy.windows import (
    LiveWindow,
    Update,
    WindowPacing,
    WindowReason,
    WindowSpan,
    due_window,
    trailing_silence,
)

AFTER_WORD_S = 0.1  # a word may sound this long after the end that the model gives it
EMPTY_REQUESTS = 2  # after two requests without words the audio counts as having none, as two must agree on words


class Stream:
    """The audio and the words of one connection. It is not shared and has no clock of its own."""

    def __init__(self, policy: StreamPolicy, *, language: str | None = None, initial_prompt: str = "") -> None:
        self._policy = policy
        self._buffer = AudioBuffer()
        self._activity = Activity()
        self._dead = DeadAudioDetector()
        self._arrivals = Arrivals()
        self._context = CommittedContext(initial_prompt=initial_prompt, policy=policy)
        self._segmenter = Segmenter(
            max_segment_s=policy.max_segment_s, gap_s=policy.gap_s, complete_after_s=policy.complete_after_s
        )
        self._languages = LanguageVotes(language)
        self._pacing = WindowPacing(policy)
        self._cut = 0  # audio before this sample is no longer needed
        self._transcribed_to = 0  # end of the last window that was answered
        self._previous: WindowHypothesis | None = None
        self._closing_due = False  # the last window was open, or is asked about again: a pause needs one more request
        self._unheard = False  # no words in what may be speech: ask again before it is dropped
        self._in_flight: LiveWindow | None = None
        self._n_sent = 0
        self._retry_at_s = 0.0
        self._last_feed_s = 0.0
        self._finished = False

    # State.

    @property
    def received_s(self) -> float:
        """Seconds of audio received; the stream's time axis."""
        return self._buffer.end / SAMPLE_RATE_HZ

    @property
    def buffered_s(self) -> float:
        """Seconds of audio held."""
        return (self._buffer.end - self._buffer.start) / SAMPLE_RATE_HZ

    @property
    def done(self) -> bool:
        """The stream has ended and nothing is left to transcribe or complete."""
        return self._finished and self._in_flight is None and not self._pending() and not self._segmenter.open_words

    @property
    def finished(self) -> bool:
        """No more audio will be fed."""
        return self._finished

    def due(self, now_s: float) -> bool:
        """Would `next_window` return one now?"""
        return self._next_span(now_s) is not None

    def wake_at_s(self) -> float | None:
        """When to check again if no audio arrives; None if only audio can change anything."""
        if self._in_flight is not None or not (self._pending() or self._segmenter.open_words):
            return None
        return max(self._retry_at_s, 0.0 if self._finished else self._last_feed_s + self._policy.idle_flush_s)

    def waiting_since_s(self) -> float | None:
        """When the oldest speech that is not final arrived; None if there is none."""
        if not self._pending() and self._in_flight is None:
            return None
        onset = self._activity.first_active(max(self._cut, to_samples(self._context.end_s)))
        return None if onset is None else self._arrivals.of(onset)

    # Events.

    def feed(self, pcm: Pcm16, now_s: float) -> DeadAudioRun | None:
        """Add the client's next samples, [n] int16; returns the run of dead audio they belong to, if any."""
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
        """No more audio will come: all buffered audio is due at once."""
        self._finished = True

    def settle(self, now_s: float) -> Update | None:
        """Complete a segment whose words are all final once the speaker pauses; needs no request."""
        if self._in_flight is not None or self._pending() or not self._segmenter.open_words:
            return None
        return None if self._quiet(now_s) is None else Update(completed=tuple(self._segmenter.add((), close=True)))

    def next_window(self, now_s: float) -> LiveWindow | None:
        """The newest window, if one is due; the caller continues with `apply`, `refused` or `skip`."""
        span = self._next_span(now_s)
        if span is None:
            return None
        self._n_sent += 1
        self._in_flight = LiveWindow(
            number=self._n_sent,
            start=span.start,
            end=span.end,
            pcm=self._buffer.read(span.start, span.end),
            reason=span.reason,
            prompt=self._context.prompt(span.start / SAMPLE_RATE_HZ),
            language=self._languages.hint(),
            vad_filter=not self._unheard,
        )
        return self._in_flight

    def refused(self, window: LiveWindow, retry_at_s: float, *, timed_out: bool = False) -> None:
        """The service did not take the window: keep everything, and try with more audio from `retry_at_s` on.

        After a timeout the longest window is halved, until answers come.
        """
        if window is self._in_flight:
            self._in_flight = None
            self._retry_at_s = retry_at_s
            if timed_out:
                self._pacing.timed_out()

    def forget_language(self) -> None:
        """The service does not know the language that was sent: detect from now on."""
        self._languages.forget()

    def skip(self, window: LiveWindow) -> tuple[Update, float]:
        """The service will never take this audio: continue after it; also returns the seconds lost."""
        if window is not self._in_flight:
            return Update(partial=self._partial()), 0.0
        self._in_flight = None
        lost = window.end - max(window.start, self._transcribed_to, to_samples(self._context.end_s))
        return self._restart_at(window.end), max(0, lost) / SAMPLE_RATE_HZ

    def drop_oldest(self, keep_s: float) -> tuple[Update, float]:
        """Memory is full: keep the newest `keep_s` seconds; also returns the seconds lost."""
        cut = self._buffer.end - to_samples(keep_s)
        if cut <= self._cut:
            return Update(partial=self._partial()), 0.0
        self._in_flight = None  # an answer that still comes is about audio that is gone
        lost = cut - max(self._cut, self._transcribed_to, to_samples(self._context.end_s))
        return self._restart_at(cut), max(0, lost) / SAMPLE_RATE_HZ

    def give_up(self) -> tuple[Update, float]:
        """The stream ends now: tentative words are final; also returns the seconds of speech lost."""
        lost = self._activity.active_samples(max(self._cut, self._transcribed_to), self._buffer.end)
        self._in_flight = None
        return self._restart_at(self._buffer.end), lost / SAMPLE_RATE_HZ

    def apply(self, window: LiveWindow, hypothesis: Hypothesis, now_s: float) -> Update:
        """Use the service's answer: commit words, and drop the audio that is no longer needed."""
        if window is not self._in_flight:
            return Update(partial=self._partial())
        self._in_flight, self._retry_at_s, self._transcribed_to = None, 0.0, window.end
        start_s, end_s = window.start / SAMPLE_RATE_HZ, window.end / SAMPLE_RATE_HZ
        recognised = [word.shifted(start_s) for word in hypothesis.words]
        words = without_loops(recognised)
        if len(words) < len(recognised):
            self._context.forget()
        failed = is_mostly_loops(recognised, words) or not (recognised or window.vad_filter)
        heard_s = end_of_heard(self._previous, self._policy.edge_s) if failed and window.closed else None
        if heard_s is not None:
            self._pacing.answered(empty=not recognised)
            return self._continue_after(heard_s)
        fresh = words[count_committed(words, self._context.tail) :]
        current = WindowHypothesis(tuple(fresh), start_s, end_s, window.closed)
        decision = decide(self._previous, current, self._policy)
        full = self._pacing.is_full(window)
        self._pacing.answered(empty=not words)
        count = decision.count or (ended_before(current.words, end_s) if full else 0)
        # A word that the model stretches into the pause ends with its sound: beyond the cut it would hide the next.
        sound_end = self._activity.last_active_end(window.end) or window.end
        final = [word.within(self._context.end_s, sound_end / SAMPLE_RATE_HZ) for word in fresh[:count]]
        latencies = tuple(now_s - self._arrivals.of(to_samples(word.end) - 1) for word in final)
        self._context.commit(final)
        self._unheard = window.vad_filter and not recognised and may_hold_speech(window.pcm)
        self._closing_due = not window.closed or self._unheard
        # A pause in noise has no level of its own: the service recognises no word in it.
        # If the pass before heard words there, this one may only have ended early.
        heard = self._previous is not None and len(self._previous.words) > count
        quiet = end_s - self._context.end_s >= self._policy.wordless_s
        paused = bool(words) and count == len(fresh) and quiet and not heard
        if not self._unheard:
            self._previous = None if window.closed else replace(current, words=tuple(fresh[count:]))
            self._move_cut(window, words, full=full)
            if paused:
                self._drop_before(to_samples(self._context.end_s + AFTER_WORD_S))
        seconds = sum(word.end - word.start for word in final)
        hinted = window.language is not None
        self._languages.add(hypothesis.language, hypothesis.language_probability, seconds, hinted=hinted)
        completed = self._segmenter.add(
            final, close=window.closed or paused, heard_s=end_s, language=hypothesis.language
        )
        language = self._languages.report(hypothesis, committed=bool(final))
        return Update(
            completed=tuple(completed),
            partial=self._partial() if self._languages.reported or hypothesis.language is None else None,
            language=language,
            rule=decision.rule,
            commit_latency_s=latencies,
        )

    # Decisions.

    def _pending(self) -> bool:
        """Is there speech that was not transcribed, or only in an open window?"""
        start = max(self._cut, self._transcribed_to)
        return self._closing_due or self._activity.active_samples(start, self._buffer.end) > 0

    def _quiet(self, now_s: float) -> WindowReason | None:
        """Why the speech is over: the stream has ended, the speaker pauses, or no audio arrives. None if it is not."""
        if self._finished:
            return "end"
        if trailing_silence(self._activity, self._buffer.end) >= to_samples(self._policy.pause_s):
            return "pause"
        return "idle" if now_s - self._last_feed_s >= self._policy.idle_flush_s else None

    def _next_span(self, now_s: float) -> WindowSpan | None:
        if self._in_flight is not None or now_s < self._retry_at_s or not self._pending():
            return None
        return due_window(
            self._activity,
            self._policy,
            cut=self._cut,
            transcribed_to=self._transcribed_to,
            end=self._buffer.end,
            quiet=self._quiet(now_s),
            pacing=self._pacing,
        )

    def _partial(self) -> Segment | None:
        tentative = self._previous.words if self._previous else ()
        words = (*self._segmenter.open_words, *tentative)
        return segment_of(words, completed=False) if words else None

    # Dropping audio.

    def _continue_after(self, heard_s: float) -> Update:
        """The model failed where the pass before heard words: those are final, and the rest is asked about."""
        update = self._restart_at(to_samples(heard_s) + 1)  # behind the last word, even if it has no length
        self._closing_due = self._unheard = self._activity.first_active(self._cut) is not None
        return update

    def _move_cut(self, window: LiveWindow, words: Sequence[Word], *, full: bool) -> None:
        if window.closed:
            self._drop_before(self._closed_cut(window, words))
        elif not words and not self._context.tail and (self._pacing.n_empty >= EMPTY_REQUESTS or full):
            self._previous = None
            self._drop_before(window.end - to_samples(self._policy.guard_s))
        elif window.duration_s > self._policy.trim_s or full:
            point = self._context.trim_point(window.start / SAMPLE_RATE_HZ)
            if point is None and full:
                without_words_s = window.end / SAMPLE_RATE_HZ - self._policy.guard_s
                point = self._context.end_s if self._context.tail else without_words_s
            if point is not None:
                self._drop_before(to_samples(point))

    def _closed_cut(self, window: LiveWindow, words: Sequence[Word]) -> int:
        """After the last sound; or, if frames stopped in the middle of one, before the last word."""
        sound_end = self._activity.last_active_end(window.end) or window.start
        if window.reason == "idle" and words and window.end - sound_end < to_samples(self._policy.hold_s):
            return max(window.start, to_samples(words[-1].start))
        return max(sound_end, window.end - to_samples(self._policy.preroll_s))

    def _skip_silence(self) -> None:
        """If nothing is pending, keep only the pre-roll of the speech that may come next."""
        if self._in_flight is None and not self._pending():
            self._drop_before(self._buffer.end - to_samples(self._policy.preroll_s))

    def _restart_at(self, cut: int) -> Update:
        """Continue at `cut` without history; the tentative words before it are final.

        A word that the cut divides is final too: the rest of it is recognised and not repeated.
        """
        tentative = self._previous.words if self._previous else ()
        cut_s = cut / SAMPLE_RATE_HZ
        final = [word.within(self._context.end_s, word.end) for word in tentative if word.start < cut_s]
        self._context.commit(final)
        completed = self._segmenter.add(final, close=True)
        self._transcribed_to = cut  # tentative words after it are transcribed again
        self._previous, self._closing_due, self._unheard = None, False, False
        self._drop_before(cut)
        return Update(completed=tuple(completed))

    def _drop_before(self, cut: int) -> None:
        if cut <= self._cut:
            return
        self._cut = cut
        self._context.move_cut(cut / SAMPLE_RATE_HZ)
        self._buffer.drop_before(cut)
        self._activity.drop_before(cut)
        self._arrivals.drop_before(cut)
