"""The whole policy on audio whose words are known: no sockets, no clock, a number for time."""

from itertools import pairwise

import numpy as np
import pytest

from app.core.pcm import to_pcm16
from app.live.policy.hypothesis import Hypothesis, Word, from_body
from app.live.policy.stream import Stream
from app.live.policy.stream_policy import StreamPolicy
from tests.live import tones

RATE = tones.RATE
STEP_S = 0.1
NOTHING = from_body({"segments": []}, no_speech_thresh=0.45, duration_s=1.0)


def listen(window):
    """What the tone recogniser finds in a window."""
    pcm = np.frombuffer(window.pcm, dtype="<i2").astype(np.float32) / 32768
    return from_body({"segments": tones.hear(pcm)}, no_speech_thresh=0.45, duration_s=window.duration_s)


def taken(stream, now_s):
    """The window that is due; fails if there is none."""
    window = stream.next_window(now_s)
    assert window is not None
    return window


class Player:
    """Feeds a recording to a stream in steps of a tenth of a second and answers its windows at once."""

    def __init__(self, pcm, policy=None, *, service=listen, **options):
        self.service = service
        self.stream = Stream(policy or StreamPolicy(), language="en", **options)
        self.pcm = to_pcm16(np.asarray(pcm, dtype=np.float32))
        self.now_s = 0.0
        self.windows, self.completed, self.partials, self.runs = [], [], [], []

    def feed(self, until_s=None):
        """Play up to a time, the end by default, without asking for windows."""
        end = len(self.pcm) if until_s is None else round(until_s * RATE)
        while (start := round(self.now_s * RATE)) < end:
            self.now_s = round(self.now_s + STEP_S, 6)
            run = self.stream.feed(self.pcm[start : round(self.now_s * RATE)], self.now_s)
            if run:
                self.runs.append(run)
            yield

    def answer(self):
        """Take and answer every window that is due now."""
        settled = self.stream.settle(self.now_s)
        if settled:
            self.completed += settled.completed
        while window := self.stream.next_window(self.now_s):
            self.windows.append(window)
            self.take(self.stream.apply(window, self.service(window), self.now_s))

    def take(self, update):
        """Keep what an update brought."""
        self.completed += update.completed
        self.partials.append(update.partial.text if update.partial else None)

    def play(self, until_s=None):
        """Feed and answer up to a time, the end by default."""
        for _ in self.feed(until_s):
            self.answer()
        return self

    def finish(self):
        """End the stream and answer what is left."""
        self.stream.finish()
        self.answer()
        assert self.stream.done
        return self

    @property
    def words(self):
        """The final words."""
        return tones.plain("".join(segment.text for segment in self.completed))


def test_every_word_once():
    """A talk with pauses is transcribed completely, in order, including the last word."""
    recording = tones.chatter(40, seed=1, noise=5e-4)
    assert Player(recording.pcm).play().finish().words == recording.text


def test_speech_without_pause():
    """A minute without a pause is transcribed completely, although windows must be trimmed."""
    recording = tones.chatter(60, seed=2, words_per_sentence=(150, 150))
    player = Player(recording.pcm).play().finish()
    assert player.words == recording.text
    assert max(window.duration_s for window in player.windows) <= StreamPolicy().trim_s + 2.5


def test_speech_without_pause_by_segments_only():
    """The same with a service without words: still complete, in fewer and larger parts."""
    recording = tones.chatter(60, seed=3, pause_s=0.45)
    player = Player(recording.pcm)

    def without_words(window):
        pcm = np.frombuffer(window.pcm, dtype="<i2").astype(np.float32) / 32768
        segments = [{k: v for k, v in s.items() if k != "words"} for s in tones.hear(pcm)]
        return from_body({"segments": segments}, no_speech_thresh=0.45, duration_s=window.duration_s)

    for _ in player.feed():
        while window := player.stream.next_window(player.now_s):
            player.take(player.stream.apply(window, without_words(window), player.now_s))
    player.stream.finish()
    while window := player.stream.next_window(player.now_s):
        player.take(player.stream.apply(window, without_words(window), player.now_s))
    assert player.words == recording.text


@pytest.mark.parametrize("level", [0.0, 5e-4])
def test_silence_costs_nothing(level):
    """Minutes of silence, digital or of a quiet room, lead to no window and are not kept."""
    silence = np.random.default_rng(0).normal(0, level, 120 * RATE) if level else np.zeros(120 * RATE)
    player = Player(silence).play().finish()
    assert player.windows == []
    assert player.stream.buffered_s < 1.0


def test_noise_costs_less_and_less():
    """Loud noise without words leads to fewer and fewer requests, and is dropped."""
    noise = np.random.default_rng(0).normal(0, 0.01, 60 * RATE)
    player = Player(noise).play()
    assert len(player.windows) < 20
    assert player.stream.buffered_s < 8
    assert player.finish().words == []


def deaf(window):
    """A service whose voice activity detection hears no speech, and whose model does."""
    return NOTHING if window.vad_filter else listen(window)


@pytest.mark.parametrize("pause_s", [0.8, 0.45])
@pytest.mark.parametrize("words_per_sentence", [(1, 3), (40, 60)])
def test_a_wrong_voice_activity_detection_loses_no_word(pause_s, words_per_sentence):
    """Audio that may hold speech is dropped only after a request without detection: in pauses and in long speech."""
    recording = tones.chatter(40, seed=5, pause_s=pause_s, words_per_sentence=words_per_sentence)
    player = Player(recording.pcm, service=deaf).play().finish()
    assert player.words == recording.text
    assert max(window.duration_s for window in player.windows) <= StreamPolicy().trim_s + 2.5


def test_a_stream_that_ends_is_asked_about_again():
    """The last words too: the stream is done only after the request without detection."""
    recording = tones.speak([["alpha", "bravo"]], tail_s=0.1)
    player = Player(recording.pcm, service=deaf)
    for _ in player.feed():
        pass
    assert player.finish().words == recording.text
    assert [window.vad_filter for window in player.windows] == [True, False]


def two_passes(recording, failing):
    """Play it to a service that is asked after 6 s and at the end, and answers `failing` for the whole recording."""
    player = Player(
        recording.pcm,
        service=lambda window: failing if window.closed and window.start < RATE else listen(window),
    )
    for _ in player.feed(6.0):
        pass
    player.answer()
    for _ in player.feed():
        pass
    return player.finish()


def test_words_heard_before_survive_a_pass_without_words():
    """If the last window has no words, those of the pass before are final, and the audio after them is sent alone."""
    recording = tones.speak([list(tones.WORDS[:20])], tail_s=2)
    player = two_passes(recording, NOTHING)
    assert player.words == recording.text
    assert [window.closed for window in player.windows] == [False, True, True, True]


def test_words_heard_before_survive_a_loop():
    """The same if the decoder only repeats itself: then the window is not sent again as it is."""
    recording = tones.speak([list(tones.WORDS[:20])], tail_s=2)

    loop = Hypothesis(tuple(Word(1.0, 1.0, f" {word}") for word in ("one", "two") * 20), "en", 1.0)
    player = two_passes(recording, loop)
    assert player.words == recording.text
    assert [window.closed for window in player.windows] == [False, True, True]


def test_a_pass_that_ends_early_is_no_pause():
    """If a pass misses the words that the pass before heard after the committed ones, its window is not cut there."""
    recording = tones.speak([list(tones.WORDS[:20])], tail_s=2)
    early = from_body({"segments": tones.hear(recording.pcm[: 2 * RATE])}, no_speech_thresh=0.45, duration_s=8.0)
    player = Player(recording.pcm, service=lambda window: early if window.number == 2 else listen(window))
    for until_s in (6.0, 8.0, 9.5):
        for _ in player.feed(until_s):
            pass
        player.answer()
    assert player.finish().words == recording.text
    assert len({window.start for window in player.windows[:3]}) == 1


def test_sound_without_words_is_dropped():
    """Restless sound in which the model finds nothing either: a bounded buffer, and half of the requests ask twice."""
    recording = tones.chatter(60, seed=6, pause_s=0.45)
    player = Player(recording.pcm, service=lambda _: NOTHING).play()
    asked = [window.vad_filter for window in player.windows]
    assert all(first for first, second in pairwise(asked) if not second), "never twice without detection"
    assert player.stream.buffered_s < 12
    assert player.finish().words == []


def test_steady_noise_is_not_asked_about_again():
    """No request without detection: there is nothing in it that could be a word."""
    noise = np.random.default_rng(0).normal(0, 0.01, 20 * RATE)
    assert all(window.vad_filter for window in Player(noise).play().finish().windows)


def test_words_shown_before_stay_while_asked_again():
    """A tentative word does not vanish because the detection failed once."""
    recording = tones.speak([["alpha", "bravo", "charlie", "delta"]], tail_s=2)
    stream = Stream(StreamPolicy(), language="en")
    stream.feed(to_pcm16(recording.pcm[: round(1.6 * RATE)]), 1.6)
    shown = stream.apply(first := taken(stream, 1.6), listen(first), 1.6).partial
    stream.feed(to_pcm16(recording.pcm[round(1.6 * RATE) :]), 4.0)
    update = stream.apply(taken(stream, 4.0), NOTHING, 4.0)
    assert shown is not None
    assert update.partial == shown
    assert not taken(stream, 4.0).vad_filter


def test_words_in_loud_noise():
    """Words in noise are transcribed, although no pause is ever detected."""
    recording = tones.chatter(30, seed=4, noise=0.01)
    assert Player(recording.pcm).play().finish().words == recording.text


def test_pause_in_noise_ends_the_utterance():
    """If no word follows the last one for long enough, it is completed and its audio freed, as in a silent pause.

    With the words still in its window a model may end there, and never reach the words after the pause.
    """
    noise = np.random.default_rng(0).normal(0, 0.01, 8 * RATE)
    player = Player(noise)
    for _ in player.feed():
        while window := player.stream.next_window(player.now_s):
            player.windows.append(window)
            heard = answering((" Thanks.", 0.6, 0.8)) if window.start == 0 else answering((" So", 0.1, 0.4))
            player.take(player.stream.apply(window, heard, player.now_s))
    starts = [window.start / RATE for window in player.windows]
    ends = [window.end / RATE for window in player.windows]
    first = starts.count(0)
    assert ends[first - 2] - 0.8 < StreamPolicy().wordless_s <= ends[first - 1] - 0.8
    assert starts[first] == pytest.approx(0.9)
    assert player.words[0] == "thanks"


def test_onset_after_silence_is_kept():
    """The first window after a silence begins before the first sound."""
    recording = tones.speak([["alpha", "bravo", "charlie"]], lead_s=30)
    player = Player(recording.pcm).play()
    first = player.windows[0]
    assert 0.2 < recording.words[0].start - first.start / RATE < 0.6
    assert player.words == recording.text


def test_pause_commits_in_one_pass():
    """After a pause of 0.6 s the sentence is final, without waiting for another sentence."""
    recording = tones.speak([["alpha", "bravo", "charlie", "delta"]], tail_s=3)
    player = Player(recording.pcm).play(recording.words[-1].end + 0.9)
    assert player.words == recording.text
    assert player.partials[-1] is None


def test_partial_shows_what_is_being_said():
    """Within one and a half seconds of speech there is a partial."""
    recording = tones.speak([["alpha", "bravo", "charlie", "delta", "echo"]])
    player = Player(recording.pcm).play(recording.words[0].start + 1.5)
    assert player.partials[-1].split()[:2] == ["alpha", "bravo"]
    assert player.completed == []


def test_idle_client_is_flushed():
    """A client that stops sending, such as a file client, gets its last words without END_OF_AUDIO."""
    recording = tones.speak([["alpha", "bravo"]], tail_s=0, pause_s=0)
    player = Player(recording.pcm).play()
    assert player.words == []
    assert player.stream.wake_at_s() == pytest.approx(player.now_s + StreamPolicy().idle_flush_s)
    player.now_s += StreamPolicy().idle_flush_s
    player.answer()
    assert player.words == recording.text


def test_stall_within_a_word():
    """If the network stalls in the middle of a word, it is not split in two."""
    recording = tones.speak([["alpha", "bravo", "charlie", "delta"]])
    middle = (recording.words[1].start + recording.words[1].end) / 2
    player = Player(recording.pcm).play(middle)
    player.now_s += 3.0
    player.answer()
    shift = player.now_s - round(middle, 1)
    for start in range(round(round(middle, 1) * RATE), len(player.pcm), 1600):
        player.now_s += STEP_S
        player.stream.feed(player.pcm[start : start + 1600], player.now_s)
        player.answer()
    assert shift > 2
    assert player.finish().words == recording.text


def test_one_window_at_a_time():
    """While a window is in flight there is no other, however much audio arrives."""
    recording = tones.chatter(20, seed=5)
    player = Player(recording.pcm)
    for _ in player.feed(3.0):
        pass
    window = player.stream.next_window(player.now_s)
    assert window is not None
    for _ in player.feed(20.0):
        assert player.stream.next_window(player.now_s) is None


def test_refused_audio_comes_again_larger_and_newer():
    """After a refusal no audio is lost, no request comes too early, and the next window is larger."""
    recording = tones.chatter(10, seed=6)
    player = Player(recording.pcm)
    for _ in player.feed(3.0):
        pass
    first = taken(player.stream, player.now_s)
    player.stream.refused(first, player.now_s + 2.0)
    for _ in player.feed(4.9):
        assert not player.stream.due(player.now_s)
    for _ in player.feed(5.1):
        pass
    second = taken(player.stream, player.now_s)
    assert second.start == first.start
    assert second.end > first.end
    player.take(player.stream.apply(second, listen(second), player.now_s))
    assert player.play().finish().words == recording.text


def test_backlog_is_worked_off_in_bounded_windows():
    """A backlog of minutes is sent afterwards, oldest first, cut at pauses."""
    recording = tones.chatter(120, seed=7)
    player = Player(recording.pcm)
    for _ in player.feed():
        pass
    player.answer()
    assert player.finish().words == recording.text
    assert max(window.duration_s for window in player.windows) <= StreamPolicy().max_window_s
    assert len(player.windows) < 8


def test_backlog_without_any_pause():
    """The same without pauses: no word is lost or doubled at the cuts."""
    recording = tones.chatter(100, seed=8, words_per_sentence=(240, 240))
    player = Player(recording.pcm)
    for _ in player.feed():
        pass
    player.answer()
    assert player.finish().words == recording.text


def test_skipped_audio_is_counted_and_time_stays_true():
    """Audio that the service always rejects is skipped, with its length; later words keep their times."""
    recording = tones.speak([["alpha", "bravo", "charlie"], ["kilo", "lima", "mike"]], pause_s=1.5)
    player = Player(recording.pcm)
    lost = 0.0
    for _ in player.feed():
        while window := player.stream.next_window(player.now_s):
            if lost or window.reason == "step":
                player.take(player.stream.apply(window, listen(window), player.now_s))
            else:
                update, lost = player.stream.skip(window)
                player.take(update)
    player.finish()
    assert lost > 0
    kilo = next(w for w in recording.words if w.text == "kilo")
    found = next(s for s in player.completed if "kilo" in s.text)
    assert found.start == pytest.approx(kilo.start, abs=0.1)


def test_overflow_drops_the_oldest_and_says_how_much():
    """When memory is full the newest audio is kept, the loss is exact, and times stay correct."""
    recording = tones.chatter(100, seed=9)
    player = Player(recording.pcm)
    for _ in player.feed():
        pass
    _, lost = player.stream.drop_oldest(30.0)
    assert lost == pytest.approx(recording.duration_s - 30 - 0.1, abs=0.2)
    player.answer()
    player.finish()
    expected = [word.text for word in recording.words if word.start > recording.duration_s - 30]
    assert player.words[-len(expected) :] == expected
    assert player.completed[-1].end == pytest.approx(recording.words[-1].end, abs=0.1)


def test_late_answer_about_dropped_audio_is_ignored():
    """An answer to a window that was dropped changes nothing."""
    recording = tones.chatter(40, seed=10)
    player = Player(recording.pcm)
    for _ in player.feed():
        pass
    window = taken(player.stream, player.now_s)
    player.stream.drop_oldest(5.0)
    update = player.stream.apply(window, listen(window), player.now_s)
    assert update.completed == ()


def test_dead_audio_is_not_sent():
    """A repeated frame is not silent, but after a second it is no longer sent."""
    frame = np.random.default_rng(0).normal(0, 0.1, 1600)
    player = Player(np.tile(frame, 300)).play()
    assert sum(window.duration_s for window in player.windows) < 4
    assert [run.kind for run in player.runs if run.report] == ["repeated"]


def test_giving_up_keeps_what_was_heard():
    """A stream that ends at once completes its partial and reports the seconds lost."""
    recording = tones.speak([["alpha", "bravo", "charlie", "delta", "echo"]])
    player = Player(recording.pcm).play(2.2)
    assert player.words == []
    for _ in player.feed(2.5):
        pass
    update, lost = player.stream.give_up()
    assert tones.plain(update.completed[0].text)[:2] == ["alpha", "bravo"]
    assert 0 < lost < 1.5


def test_language_is_reported_once_and_before_text():
    """The language is reported when it is likely enough or with the first final text; no partial comes before it."""
    recording = tones.chatter(8, seed=11)
    stream = Stream(StreamPolicy(), language=None)
    reported: list[tuple[str, float]] = []
    early = []
    for start in range(0, len(recording.pcm), 1600):
        now_s = (start + 1600) / RATE
        stream.feed(to_pcm16(recording.pcm[start : start + 1600]), now_s)
        if window := stream.next_window(now_s):
            recognised = listen(window)
            recognised = Hypothesis(recognised.words, "de", 0.3 if not reported else 0.9)
            update = stream.apply(window, recognised, now_s)
            if update.language:
                reported.append(update.language)
            if not reported:
                early.append((update.partial, update.completed))
    assert reported == [("de", 0.3)]
    assert early
    assert all(pair == (None, ()) for pair in early)


def test_committed_words_never_overlap():
    """Whatever times a model returns, final words are in order."""
    recording = tones.speak([["alpha", "bravo", "charlie", "delta", "echo", "golf"]])
    player = Player(recording.pcm)
    for _ in player.feed():
        while window := player.stream.next_window(player.now_s):
            recognised = listen(window).words
            odd = [{"word": w.text, "start": w.start - 0.3, "end": w.end + 0.2} for w in recognised]
            body = {"segments": [{"text": "x", "words": odd}]}
            answer = from_body(body, no_speech_thresh=0.45, duration_s=window.duration_s)
            player.take(player.stream.apply(window, answer, player.now_s))
    player.finish()
    words = [word for segment in player.completed for word in segment.words]
    assert len(words) == 6
    assert all(a.end <= b.start for a, b in pairwise(words))


def test_commit_latency_is_measured_from_the_words_last_sample():
    """Each final word has the time since its last sample arrived."""
    recording = tones.speak([["alpha", "bravo", "charlie"]], tail_s=2)
    player = Player(recording.pcm)
    latencies: list[float] = []
    for _ in player.feed():
        while window := player.stream.next_window(player.now_s):
            latencies += player.stream.apply(window, listen(window), player.now_s).commit_latency_s
    assert len(latencies) == 3
    assert latencies[-1] == pytest.approx(0.65, abs=0.15)
    assert latencies[0] == pytest.approx(latencies[-1] + 0.8, abs=0.15)


def answering(*words):
    """A hypothesis of these (text, start, end), in seconds of the window."""
    return Hypothesis(tuple(Word(start, end, text) for text, start, end in words))


def test_short_word_after_a_pause_is_not_taken_for_the_one_before():
    """A last word that the model stretches into the pause does not hide the next one."""
    recording = tones.speak([["alpha", "bravo"], ["charlie"]], pause_s=0.65, lead_s=1.0)
    player = Player(recording.pcm)
    starts = []
    for _ in player.feed():
        while window := player.stream.next_window(player.now_s):
            good = answering((" Good", 0.4, 0.7), (" morning.", 0.8, window.duration_s))
            starts.append(window.start / RATE)
            answer = good if len(starts) < 2 else answering((" Yes.", 0.0, 0.6))
            player.take(player.stream.apply(window, answer, player.now_s))
    player.finish()
    assert len(starts) == 2
    assert player.words == ["good", "morning", "yes"]
    said = [word for segment in player.completed for word in segment.words]
    assert said[1].end == pytest.approx(recording.words[1].end, abs=0.03)
    assert said[2].start == pytest.approx(starts[1], abs=0.01)


def test_commit_latency_of_a_backlog():
    """After an outage each word's latency counts from its own last sample."""
    recording = tones.chatter(60, seed=12, words_per_sentence=(5, 5))
    player = Player(recording.pcm)
    for start in range(0, len(player.pcm), 400):  # frames of 25 ms: many arrivals to forget
        player.now_s = (start + 400) / RATE
        player.stream.feed(player.pcm[start : start + 400], player.now_s)
    latencies: list[float] = []
    player.now_s += 30.0
    player.stream.finish()
    while window := player.stream.next_window(player.now_s):
        latencies += player.stream.apply(window, listen(window), player.now_s).commit_latency_s
    assert len(latencies) == len(recording.words)
    expected = [player.now_s - word.end for word in recording.words]
    assert latencies == pytest.approx(expected, abs=0.2)


def test_skipped_audio_keeps_what_was_heard_of_it():
    """The partial of skipped audio becomes final; only untranscribed audio counts as lost."""
    recording = tones.speak([["alpha", "bravo", "charlie", "delta", "echo", "golf", "hotel"]])
    player = Player(recording.pcm).play(2.0)
    transcribed_to_s = player.windows[-1].end / RATE
    partial = tones.plain(player.partials[-1])
    assert partial[:2] == ["alpha", "bravo"]
    for _ in player.feed(3.1):
        pass
    window = taken(player.stream, player.now_s)
    update, lost = player.stream.skip(window)
    player.take(update)
    assert player.partials[-1] is None
    assert player.words == partial
    assert lost == pytest.approx(window.end / RATE - transcribed_to_s, abs=0.01)


def test_overflow_keeps_what_was_heard():
    """Dropping the oldest audio makes its partial final; only untranscribed audio counts as lost."""
    recording = tones.chatter(60, seed=14, words_per_sentence=(150, 150))
    player = Player(recording.pcm).play(3.0)
    transcribed_to_s = player.windows[-1].end / RATE
    recognised = player.words + tones.plain(player.partials[-1])
    assert recognised == [word.text for word in recording.words[: len(recognised)]] != player.words
    for _ in player.feed(20.0):
        pass
    update, lost = player.stream.drop_oldest(10.0)
    player.take(update)
    assert lost == pytest.approx(10.0 - transcribed_to_s, abs=0.01)
    assert player.words == recognised


def test_overflow_within_what_was_heard():
    """A cut within a transcribed window loses no word, doubles none, and frees the memory."""
    recording = tones.speak([["alpha", "bravo", "charlie", "delta", "echo", "golf", "hotel", "india"]])
    player = Player(recording.pcm).play(2.6)
    update, lost = player.stream.drop_oldest(1.0)
    player.take(update)
    assert lost == 0.0
    assert player.stream.buffered_s == pytest.approx(1.0)
    assert player.play().finish().words == recording.text


def test_time_outs_shorten_windows_and_answers_lengthen_them():
    """Each timeout halves the longest window, down to six seconds; other refusals do not; answers lengthen it."""
    player = Player(tones.chatter(200, seed=15, words_per_sentence=(3, 3)).pcm)
    for _ in player.feed():
        pass
    lengths = []
    for timed_out in (False, True, True, True, True, False):
        window = taken(player.stream, player.now_s)
        lengths.append(window.duration_s)
        player.stream.refused(window, player.now_s, timed_out=timed_out)
    for _ in range(8):
        window = taken(player.stream, player.now_s)
        lengths.append(window.duration_s)
        player.take(player.stream.apply(window, listen(window), player.now_s))
    assert lengths == pytest.approx([28, 28, 14, 7, 6, 6, 6, 7.5, 9.4, 11.7, 14.6, 18.3, 22.9, 28], abs=2.1)
    assert max(lengths) <= 28


@pytest.mark.parametrize("words_per_sentence", [(3, 8), (240, 240)])
@pytest.mark.parametrize("longest_s", [6.0, 10.0])
def test_backlog_of_a_slow_service(words_per_sentence, longest_s):
    """A service fast enough for short windows transcribes any backlog, and the live speech after it, word for word."""
    recording = tones.chatter(100, seed=16, words_per_sentence=words_per_sentence)
    player = Player(recording.pcm)
    for _ in player.feed(60.0):
        pass
    timed_out = answered = 0

    def answer():
        nonlocal timed_out, answered
        while window := player.stream.next_window(player.now_s):
            if window.duration_s > longest_s:
                timed_out += 1
                player.stream.refused(window, player.now_s, timed_out=True)
            else:
                answered += 1
                player.take(player.stream.apply(window, listen(window), player.now_s))

    answer()
    for _ in player.feed():
        answer()
    player.stream.finish()
    answer()
    assert player.words == recording.text
    assert timed_out < 0.6 * answered
