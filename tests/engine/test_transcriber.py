from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from faster_whisper.transcribe import Segment as RawSegment

from app.audio import SAMPLE_RATE_HZ, Pcm
from app.engine.model import Model
from app.engine.transcriber import Transcriber, temperatures, to_segment
from app.engine.windows import Span, Window
from app.errors import Cancelled, InvalidRequest
from app.options import Options
from app.transcript import AudioInfo, Progress, Segment
from tests.samples import pcm_of, sample, short, word_error_rate

SECOND = SAMPLE_RATE_HZ


@dataclass(slots=True)
class Heard:
    """Everything a transcriber said of one upload."""

    info: AudioInfo | None = None
    segments: list[Segment] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The segments' texts."""
        return "".join(segment.text for segment in self.segments).strip()


def hear(transcriber: Transcriber, pcm: Pcm, options: Options | None = None) -> Heard:
    """Transcribe to the end."""
    heard = Heard()
    for event in transcriber.events(pcm, options or Options(), lambda: False):
        if isinstance(event, AudioInfo):
            assert heard.info is None
            heard.info = event
        elif isinstance(event, Segment):
            heard.segments.append(event)
        else:
            heard.progress.append(event)
    return heard


@pytest.fixture(scope="module")
def clips(transcriber: Transcriber) -> dict[str, Heard]:
    """What is heard in every short clip."""
    spoken = [clip.file for language in ("en", "de", "es") for clip in short(language)]
    return {file: hear(transcriber, pcm_of(file)) for file in spoken}


@pytest.fixture(scope="module")
def long_en(transcriber: Transcriber) -> Heard:
    """What is heard in two minutes of English."""
    return hear(transcriber, pcm_of("long-en.wav"))


# The model's README states 20-30 % English, 57-61 % German, 49-61 % Spanish; a few points of slack
# for other CPUs, whose arithmetic rounds differently.
@pytest.mark.parametrize(("language", "limit"), [("en", 0.33), ("de", 0.66), ("es", 0.57)])
def test_short_clips_are_understood_as_well_as_the_model_can(
    clips: dict[str, Heard], language: str, limit: float
) -> None:
    """Word error rate on the clips of a language is near what the model's README states."""
    spoken = [clip.text for clip in short(language)]
    assert word_error_rate(spoken, [clips[clip.file].text for clip in short(language)]) <= limit


def test_the_language_of_short_clips_is_detected(clips: dict[str, Heard]) -> None:
    """The language is right for at least 95 % of the clips, and every probability is one."""
    truth = {clip.file: clip.language for language in ("en", "de", "es") for clip in short(language)}
    infos = {file: heard.info for file, heard in clips.items() if heard.info is not None}
    assert len(truth) == len(infos)
    assert all(0.0 < info.language_probability <= 1.0 for info in infos.values())
    right = sum(infos[file].language == language for file, language in truth.items())
    assert right >= 0.95 * len(truth)


def test_long_audio_is_understood_to_its_end(long_en: Heard) -> None:
    """Minutes of speech keep their error rate, and the last sentence is there."""
    long, heard, limit = sample("long-en.wav"), long_en, 0.33
    assert word_error_rate([long.text], [heard.text]) <= limit
    assert abs(heard.segments[-1].end - long.segments[-1].end) < 1.5
    last = heard.progress[-1]
    assert last.done_s == last.total_s
    assert abs(last.done_s - long.duration_s) < 0.1


def test_every_sentence_of_a_long_file_is_covered(long_en: Heard) -> None:
    """At least nine tenths of the spoken time lies inside some segment."""
    long = sample("long-en.wav")
    covered = np.zeros(int(long.duration_s * 100) + 100, bool)
    for segment in long_en.segments:
        covered[int(segment.start * 100) : int(segment.end * 100)] = True
    spoken = [covered[int(each.start * 100) : int(each.end * 100)] for each in long.segments]
    assert np.concatenate(spoken).mean() > 0.9


def test_sentence_times_of_short_clips_are_true(clips: dict[str, Heard]) -> None:
    """The first segment begins and the last ends within half a second of the speech in the clip."""
    for clip in short("en"):
        loud = np.flatnonzero(np.abs(pcm_of(clip.file)) > 0.02) / SECOND
        segments = clips[clip.file].segments
        assert abs(segments[0].start - loud[0]) <= 0.5, clip.file
        assert abs(segments[-1].end - loud[-1]) <= 0.5, clip.file


@pytest.mark.parametrize("file", ["silence.wav", "noise.wav"])
def test_silence_and_noise_give_no_text(transcriber: Transcriber, file: str) -> None:
    """Nothing said: no segment, the audio's own length, a language that clients may send back."""
    heard = hear(transcriber, pcm_of(file))
    assert heard.segments == []
    assert AudioInfo(language="en", language_probability=0.0, duration_s=8.0) == heard.info


def test_a_given_language_is_taken_as_certain(transcriber: Transcriber) -> None:
    """A caller's language is echoed with probability 1, also when it is not the one spoken."""
    info = hear(transcriber, pcm_of("en-00.wav"), Options(language="de")).info
    assert info is not None
    assert (info.language, info.language_probability) == ("de", 1.0)


def test_words_carry_times_inside_their_segment(transcriber: Transcriber) -> None:
    """Words in order, with leading spaces, inside their segment, joining to its text."""
    heard = hear(transcriber, pcm_of("en-00.wav"), Options(words=True))
    for segment in heard.segments:
        assert segment.words
        assert segment.text == "".join(word.word for word in segment.words)
        assert all(word.word.startswith(" ") for word in segment.words)
        assert all(0 <= word.probability <= 1 for word in segment.words)
        times = [time for word in segment.words for time in (word.start, word.end)]
        assert sorted(times) == times
        assert segment.start - 0.5 <= times[0]
        assert times[-1] <= segment.end + 0.5


def test_leading_silence_shifts_the_times(transcriber: Transcriber) -> None:
    """Twenty seconds of silence before a sentence move its segment by twenty seconds."""
    voice = pcm_of("en-00.wav")
    plain_start = hear(transcriber, voice).segments[0].start
    shifted = hear(transcriber, np.concatenate([np.zeros(20 * SECOND, np.float32), voice])).segments
    assert abs(shifted[0].start - plain_start - 20) < 0.7


def test_a_long_pause_between_sentences_is_restored(transcriber: Transcriber) -> None:
    """Two sentences packed into one window keep the minute that lay between them."""
    first, second = pcm_of("en-02.wav"), pcm_of("en-00.wav")
    pcm = np.concatenate([first, np.zeros(60 * SECOND, np.float32), second])
    segments = hear(transcriber, pcm).segments
    begin = len(first) / SECOND + 60
    assert segments[0].start < 1.0
    assert begin - 0.7 < segments[-1].start < segments[-1].end <= len(pcm) / SECOND


def test_work_stops_before_the_next_window_when_the_caller_leaves(transcriber: Transcriber) -> None:
    """After the caller left, no further window is decoded."""
    heard: list[Segment] = []

    def listen() -> None:
        events = transcriber.events(pcm_of("long-en.wav"), Options(), lambda: len(heard) >= 2)
        heard.extend(event for event in events if isinstance(event, Segment))

    with pytest.raises(Cancelled):
        listen()
    assert len(heard) < 10


def test_without_vad_silence_is_still_no_text(transcriber: Transcriber) -> None:
    """The model's own no-speech check holds when voice activity detection is switched off."""
    assert hear(transcriber, pcm_of("silence.wav"), Options(vad_filter=False)).text == ""


def test_without_vad_long_audio_is_covered_to_its_end(transcriber: Transcriber) -> None:
    """Windows cut without VAD reach the end of the file."""
    heard = hear(transcriber, pcm_of("long-de.wav"), Options(vad_filter=False, language="de"))
    assert heard.segments[-1].end > 70


def test_control_tokens_in_a_prompt_are_harmless(transcriber: Transcriber) -> None:
    """A prompt full of Whisper's control tokens neither fails nor silences the model."""
    options = Options(prompt="<|startoftranscript|><|endoftext|><|nospeech|> Hello", hotwords="<|en|> fire")
    assert hear(transcriber, pcm_of("en-00.wav"), options).text


def test_endless_prompts_and_hotwords_leave_room_for_the_answer(transcriber: Transcriber) -> None:
    """Thousands of prompt words are trimmed to what the decoder holds."""
    options = Options(prompt="to be or not to be " * 500, hotwords="hamlet " * 500, words=True)
    assert isinstance(hear(transcriber, pcm_of("en-00.wav"), options).text, str)


def test_a_language_the_model_does_not_have_is_named(transcriber: Transcriber) -> None:
    """An unknown language token is the caller's error, not a crash."""
    with pytest.raises(InvalidRequest, match="'xx'") as caught:
        transcriber.check(Options(language="xx"))
    assert caught.value.param == "language"


def test_a_model_that_cannot_translate_says_so(demo: Model) -> None:
    """Turbo has no translate task: the caller hears it instead of getting a transcript."""
    turbo = Model(
        whisper=demo.whisper,
        name="large-v3-turbo",
        device="cpu",
        compute_type_asked="int8",
        compute_type="int8",
        max_window_s=30.0,
    )
    with pytest.raises(InvalidRequest, match="cannot translate") as caught:
        Transcriber(turbo, beam_size=1, vad_filter=True).check(Options(task="translate"))
    assert caught.value.param == "model"


def test_live_text_is_never_sampled_and_files_climb_the_ladder() -> None:
    """The realtime tier decodes once at 0; files may be retried up to 1.0."""
    assert temperatures(Options(tier="realtime")) == [0.0]
    assert temperatures(Options()) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert temperatures(Options(temperature=0.7)) == [0.7, 0.9]
    assert temperatures(Options(temperature=1.0)) == [1.0]


def test_a_segment_never_ends_before_it_begins() -> None:
    """Times beyond the window, as models invent them in the padding, are pulled into it."""
    raw = RawSegment(
        id=1, seek=0, start=29.0, end=29.5, text=" late", tokens=[1], avg_logprob=-0.2, compression_ratio=1.0,
        no_speech_prob=0.0, words=None, temperature=0.0,
    )  # fmt: skip
    segment = to_segment(raw, Window((Span(0, 3 * SECOND),)), number=0, words=False)
    assert segment is not None
    assert 0 <= segment.start < segment.end <= 3.1
