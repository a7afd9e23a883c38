"""Synthesize a sentence with espeak-ng's library or with flite, with the start of each word and phone.

espeak-ng's library reports words and phonemes, flite's program its phones alone: there a word
begins at the share of the phones that lies before it when espeak-ng reads the same sentence.
Source: espeak-ng's speak_lib.h. One process holds one espeak-ng.
"""

import ctypes
import subprocess
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly  # type: ignore[import-untyped]  # scipy ships no types

from tools.demo_model.phones import phone_name, read_phones, words_by_share
from tools.demo_model.windows import SAMPLE_RATE, Anchor, Phone

Pcm = NDArray[np.float32]

AUDIO_OUTPUT_SYNCHRONOUS = 2
CHARACTERS_UTF8 = 1
POSITION_CHARACTER = 1
PARAMETER_RATE, PARAMETER_PITCH, PARAMETER_RANGE = 1, 3, 4
EVENT_LIST_END, EVENT_WORD, EVENT_PHONEME = 0, 1, 7
WITH_PHONEME_EVENTS = 1
QUIET = 0.004  # below this a sample is silence around the speech
LEAD_SAMPLES, TAIL_SAMPLES = 400, 800  # kept around the speech when trimming


class Event(ctypes.Structure):
    """`espeak_EVENT`: something that happens at a place in the text and a time in the audio."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))


@dataclass(frozen=True, slots=True)
class Speech:
    """One spoken sentence.

    Attributes:
        pcm: [n_samples] float32, 16 kHz, trimmed to the speech.
        anchors: (character of the text, seconds) pairs, rising in both.
        phones: (name, seconds at which it begins) pairs, rising; pauses are `SILENCE`.
    """

    pcm: Pcm
    anchors: tuple[Anchor, ...]
    phones: tuple[Phone, ...]


class Espeak:
    """The library, collecting the audio and the events of one sentence at a time."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libespeak-ng.so.1")
        self._rate_hz = self._library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, None, WITH_PHONEME_EVENTS)
        if self._rate_hz <= 0:
            raise OSError("espeak-ng did not start: install espeak-ng and libespeak-ng1")
        self._parts: list[NDArray[np.int16]] = []
        self._words: list[Anchor] = []
        self._phones: list[Phone] = []
        self._callback = SynthCallback(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: object) -> int:
        if count > 0 and samples:
            self._parts.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events and events[index].type != EVENT_LIST_END:  # type: ignore[index]  # a C array
            event = events[index]  # type: ignore[index]  # a C array
            if event.type == EVENT_WORD:
                self._words.append((event.text_position - 1, event.audio_position_ms / 1000))
            elif event.type == EVENT_PHONEME:
                self._phones.append((phone_name(event.id), event.audio_position_ms / 1000))
            index += 1
        return 0

    def speak(self, text: str, *, voice: str, rate_wpm: int, pitch: int, pitch_range: int) -> Speech:
        """Synthesize `text`; `pitch` and `pitch_range` are espeak-ng's, 0 to 99."""
        self._parts.clear()
        self._words.clear()
        self._phones.clear()
        self._library.espeak_SetVoiceByName(voice.encode())
        self._library.espeak_SetParameter(PARAMETER_RATE, rate_wpm, 0)
        self._library.espeak_SetParameter(PARAMETER_PITCH, pitch, 0)
        self._library.espeak_SetParameter(PARAMETER_RANGE, pitch_range, 0)
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, POSITION_CHARACTER, 0, CHARACTERS_UTF8, None, None)
        pcm = as_float(np.concatenate(self._parts or [np.zeros(0, np.int16)]))
        return trimmed(resampled(pcm, self._rate_hz), self._words, self._phones, len(text))

    def flite(self, text: str, *, voice: str) -> Speech:
        """Synthesize English `text` with flite; espeak-ng's phones give the start of each word."""
        pcm, phones = flite(text, voice=voice)
        read = self.speak(text, voice="en-us", rate_wpm=175, pitch=50, pitch_range=50)
        return trimmed(pcm, words_by_share(read.anchors[1:-1], read.phones, phones), phones, len(text))


def flite(text: str, *, voice: str) -> tuple[Pcm, list[Phone]]:
    """Synthesize English `text`; return 16 kHz samples, and its phones under espeak-ng's names."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = ["flite", "-psdur", "-voice", voice, "-t", text, "-o", str(path)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
            rate_hz = file.getframerate()
    return resampled(as_float(samples), rate_hz), read_phones(printed)


def as_float(samples: NDArray[np.int16]) -> Pcm:
    """Samples as float32 in [-1, 1]."""
    return samples.astype(np.float32) / np.float32(32768)


def resampled(pcm: Pcm, rate_hz: int) -> Pcm:
    """Resample from the voice's rate to 16 kHz."""
    if rate_hz == SAMPLE_RATE:
        return pcm
    common = gcd(SAMPLE_RATE, rate_hz)
    return np.asarray(resample_poly(pcm, SAMPLE_RATE // common, rate_hz // common), np.float32)


def trimmed(pcm: Pcm, words: Sequence[Anchor], phones: Sequence[Phone], n_characters: int) -> Speech:
    """Trim the silence around the speech, and shift the times accordingly."""
    loud = np.flatnonzero(np.abs(pcm) > QUIET)
    if not len(loud):
        return Speech(pcm[:0], (), ())
    first = max(0, int(loud[0]) - LEAD_SAMPLES)
    pcm = pcm[first : int(loud[-1]) + TAIL_SAMPLES]
    end_s = len(pcm) / SAMPLE_RATE
    anchors: list[Anchor] = [(0, 0.0)]
    for character, at_s in words:
        moved_s = at_s - first / SAMPLE_RATE
        if anchors[-1][0] < character < n_characters and anchors[-1][1] <= moved_s < end_s:
            anchors.append((character, moved_s))
    anchors.append((n_characters, end_s))
    moved = [(name, max(0.0, at_s - first / SAMPLE_RATE)) for name, at_s in phones]
    return Speech(pcm, tuple(anchors), tuple(phone for phone in moved if phone[1] < end_s))
