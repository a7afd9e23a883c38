"""The examples of OpenAI's speech-to-text guide for whisper-1 and gpt-4o-transcribe, against a running worker.

The calls are those of the guide, with samples of this repository for its files; OpenAI ends these models on
2027-02-26. What the examples print is checked with a margin for the demo model. See docs/openai-whisper-1.md.
"""

from __future__ import annotations

import base64
import io
import json
import subprocess
import wave
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from openai import BadRequestError, OpenAI
from openai.types.audio import TranscriptionTextDeltaEvent, TranscriptionTextDoneEvent, TranscriptionVerbose

from tests.e2e.worker import Worker, start
from tests.samples import Sample, beginning, pcm_of, sample, word_error_rate

ENGLISH = sample("en-19.wav")
GERMAN = sample("de-00.wav")
# The limit of OpenAI's whisper-1, for which the guide tells readers to split their files.
OPENAI_LIMIT_BYTES = 25 * 1024 * 1024
CONTEXT_PROMPT = (
    "The following conversation is a lecture about the recent developments around OpenAI, GPT-4.5 and the future of AI."
)
NAMES_PROMPT = (
    "ZyntriQix, Digique Plus, CynapseFive, VortiQore V8, EchoNix Array, OrbitalLink Seven, DigiFractal Matrix, "
    "PULSE, RAPT, B.R.I.C.K., Q.U.A.R.T.Z., F.L.I.N.T."
)
# "Supported languages" of the guide.
LANGUAGES = (
    "Afrikaans", "Arabic", "Armenian", "Azerbaijani", "Belarusian", "Bosnian", "Bulgarian", "Catalan", "Chinese",
    "Croatian", "Czech", "Danish", "Dutch", "English", "Estonian", "Finnish", "French", "Galician", "German",
    "Greek", "Hebrew", "Hindi", "Hungarian", "Icelandic", "Indonesian", "Italian", "Japanese", "Kannada",
    "Kazakh", "Korean", "Latvian", "Lithuanian", "Macedonian", "Malay", "Marathi", "Maori", "Nepali", "Norwegian",
    "Persian", "Polish", "Portuguese", "Romanian", "Russian", "Serbian", "Slovak", "Slovenian", "Spanish",
    "Swahili", "Swedish", "Tagalog", "Tamil", "Thai", "Turkish", "Ukrainian", "Urdu", "Vietnamese", "Welsh",
)  # fmt: skip


@pytest.fixture(scope="module")
def client(worker: Worker) -> Iterator[OpenAI]:
    """The guide's client; the base URL is the one change."""
    with OpenAI(base_url=f"{worker.url}/v1", api_key="unused") as openai:
        yield openai


def curl(worker: Worker, route: str, *arguments: str) -> str:
    """Run curl as the guide writes it; return the body of a successful response."""
    done = subprocess.run(
        [
            "curl", "--silent", "--show-error", "--fail-with-body", "--request", "POST",
            "--url", f"{worker.url}/v1/audio/{route}",
            "--header", "Authorization: Bearer sk-anything", "--header", "Content-Type: multipart/form-data",
            *arguments,
        ],
        capture_output=True,
        check=False,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout.decode()


def check_text(expected: Sample, text: str) -> None:
    """The text is nearly the sample's: two words may be wrong on another CPU."""
    assert word_error_rate([expected.text], [text]) <= 2 / len(expected.text.split()), text


def test_transcription(client: OpenAI) -> None:
    """Transcriptions: a file and a model name give the text."""
    with ENGLISH.path.open("rb") as audio_file:
        transcription = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=audio_file)
    check_text(ENGLISH, transcription.text)


def test_transcription_with_curl(worker: Worker) -> None:
    """Transcriptions with curl: JSON with the text, although the guide's header names no boundary."""
    body = curl(worker, "transcriptions", "--form", f"file=@{ENGLISH.path}", "--form", "model=gpt-4o-transcribe")
    check_text(ENGLISH, json.loads(body)["text"])


def test_text_format(client: OpenAI) -> None:
    """response_format=text gives a plain string."""
    with ENGLISH.path.open("rb") as audio_file:
        transcription = client.audio.transcriptions.create(
            model="gpt-4o-transcribe", file=audio_file, response_format="text"
        )
    assert isinstance(transcription, str)
    check_text(ENGLISH, transcription)


def test_text_format_with_curl(worker: Worker) -> None:
    """The same with curl: the body is the text and nothing else."""
    form = ("--form", f"file=@{ENGLISH.path}", "--form", "model=gpt-4o-transcribe", "--form", "response_format=text")
    check_text(ENGLISH, curl(worker, "transcriptions", *form))


def test_speaker_labels_are_refused(client: OpenAI) -> None:
    """The diarization example gets 400 unsupported_value: this server has no speaker labels."""
    reference = "data:audio/wav;base64," + base64.b64encode(ENGLISH.path.read_bytes()).decode()
    with ENGLISH.path.open("rb") as audio_file, pytest.raises(BadRequestError) as refused:
        client.audio.transcriptions.create(
            model="gpt-4o-transcribe-diarize",
            file=audio_file,
            response_format="diarized_json",
            chunking_strategy="auto",
            extra_body={"known_speaker_names": ["agent"], "known_speaker_references": [reference]},
        )
    assert (refused.value.param, refused.value.code) == ("response_format", "unsupported_value")


def test_diarize_model_without_speaker_labels(client: OpenAI) -> None:
    """The same call with json gives the text; the known speakers are ignored."""
    reference = "data:audio/wav;base64," + base64.b64encode(ENGLISH.path.read_bytes()).decode()
    with ENGLISH.path.open("rb") as audio_file:
        transcript = client.audio.transcriptions.create(
            model="gpt-4o-transcribe-diarize",
            file=audio_file,
            response_format="json",
            chunking_strategy="auto",
            extra_body={"known_speaker_names": ["agent"], "known_speaker_references": [reference]},
        )
    check_text(ENGLISH, transcript.text)


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
def test_translation(client: OpenAI) -> None:
    """Translations: German audio is answered; the demo model was not trained to translate, so any text will do."""
    with GERMAN.path.open("rb") as audio_file:
        translation = client.audio.translations.create(model="whisper-1", file=audio_file)
    assert translation.text


def test_translation_with_curl(worker: Worker) -> None:
    """Translations with curl: OpenAI's json body, without Vexa's keys."""
    body = json.loads(curl(worker, "translations", "--form", f"file=@{GERMAN.path}", "--form", "model=whisper-1"))
    assert body["text"]
    assert "segments" not in body


def test_word_timestamps(client: OpenAI) -> None:
    """Timestamps: every word of the text with its times, in order and inside the audio."""
    with ENGLISH.path.open("rb") as audio_file:
        transcription = client.audio.transcriptions.create(
            file=audio_file, model="whisper-1", response_format="verbose_json", timestamp_granularities=["word"]
        )
    assert isinstance(transcription, TranscriptionVerbose)
    assert transcription.words
    assert [each.word for each in transcription.words] == transcription.text.split()
    times = [time for each in transcription.words for time in (each.start, each.end)]
    assert times == sorted(times)
    assert times[-1] <= ENGLISH.duration_s + 0.01
    assert transcription.segments is None


def test_word_timestamps_with_curl(worker: Worker) -> None:
    """Timestamps with curl: words at the top level, no segments."""
    form = ("-F", f"file=@{ENGLISH.path}", "-F", "timestamp_granularities[]=word", "-F", "model=whisper-1")
    body = json.loads(curl(worker, "transcriptions", *form, "-F", "response_format=verbose_json"))
    assert [each["word"] for each in body["words"]] == body["text"].split()
    assert "segments" not in body


@pytest.fixture(scope="module")
def large_file() -> tuple[str, bytes]:
    """A WAV file above OpenAI's limit: one sentence, then silence, 48 kHz stereo."""
    speech = (np.repeat(pcm_of(ENGLISH.file), 3) * 32767).astype(np.int16)  # [n_samples], 16 to 48 kHz
    n_samples = OPENAI_LIMIT_BYTES // 4 + 48_000
    samples = np.zeros((n_samples, 2), np.int16)
    samples[: len(speech)] = speech[:, None]
    body = io.BytesIO()
    with wave.open(body, "wb") as writer:
        writer.setnchannels(2)
        writer.setsampwidth(2)
        writer.setframerate(48_000)
        writer.writeframes(samples.tobytes())
    return "lecture.wav", body.getvalue()


def test_longer_inputs_need_no_splitting(client: OpenAI, large_file: tuple[str, bytes]) -> None:
    """Longer inputs: a file above 25 MB is transcribed as it is."""
    assert len(large_file[1]) > OPENAI_LIMIT_BYTES
    transcription = client.audio.transcriptions.create(model="whisper-1", file=large_file)
    assert word_error_rate([ENGLISH.text], [transcription.text]) <= 0.5


def test_longer_inputs_in_parts(client: OpenAI) -> None:
    """Longer inputs, split as the guide does: the first part of a recording is a file like any other."""
    first_ten_seconds = ("good_morning_10.wav", beginning("long-en.wav", 10.0))
    transcription = client.audio.transcriptions.create(model="whisper-1", file=first_ten_seconds)
    assert transcription.text


@pytest.mark.parametrize(("model", "prompt"), [("gpt-4o-transcribe", CONTEXT_PROMPT), ("whisper-1", NAMES_PROMPT)])
def test_prompt(client: OpenAI, model: str, prompt: str) -> None:
    """Prompting: the guide's prompts are accepted and do not become part of the text."""
    with ENGLISH.path.open("rb") as audio_file:
        transcription = client.audio.transcriptions.create(
            model=model, file=audio_file, response_format="text", prompt=prompt
        )
    assert transcription.strip()
    assert prompt[:20] not in transcription


def test_stream_of_a_file(client: OpenAI) -> None:
    """Streaming a completed recording: deltas that add up to the text of the last event, whatever the format."""
    with ENGLISH.path.open("rb") as audio_file:
        stream = client.audio.transcriptions.create(
            model="gpt-4o-mini-transcribe", file=audio_file, response_format="text", stream=True
        )
        *deltas, done = list(stream)
    assert isinstance(done, TranscriptionTextDoneEvent)
    check_text(ENGLISH, done.text)
    assert "".join(each.delta for each in deltas if isinstance(each, TranscriptionTextDeltaEvent)) == done.text


def test_stream_of_a_file_with_curl(worker: Worker) -> None:
    """Streaming with curl, with the guide's capital `True` and whisper-1, which OpenAI does not stream."""
    form = ("--form", f"file=@{ENGLISH.path}", "--form", "model=whisper-1", "--form", "stream=True")
    body = curl(worker, "transcriptions", *form, "--form", "response_format=text")
    data = [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: ")]
    assert data[-1] == "[DONE]"
    assert json.loads(data[-2])["type"] == "transcript.text.done"


def test_realtime_is_not_available(worker: Worker) -> None:
    """Streaming an ongoing recording: the Realtime API is not served, and OpenAI's error format says so."""
    response = httpx.get(f"{worker.url}/v1/realtime", params={"intent": "transcription"})
    assert response.status_code == 404
    assert response.json()["error"]["message"] == "Invalid URL (GET /v1/realtime)"


def test_supported_languages() -> None:
    """Supported languages: each of the guide's 57 is accepted by its name."""
    assert len(LANGUAGES) == 57
    clip = sample("en-00.wav").path.read_bytes()
    with start(MODEL_SIZE="fake") as worker:
        worker.wait_ready()
        with OpenAI(base_url=f"{worker.url}/v1", api_key="unused") as client:
            for language in LANGUAGES:
                answer = client.audio.transcriptions.create(
                    model="whisper-1", file=clip, language=language, response_format="verbose_json"
                )
                assert len(answer.language) == 2, language
