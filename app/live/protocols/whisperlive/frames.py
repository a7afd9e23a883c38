"""WhisperLive's frames to events, without a socket or a clock. Pure.

A binary frame holds raw samples in the format that the handshake names. A proxy may have cut the
bytes elsewhere, so a sample may begin in one frame and end in the next. Or a frame lost its last
bytes, and the next one begins with a whole sample; the values of the samples show which of the two
it is. END_OF_AUDIO is twelve bytes, binary or text, and is checked for first. Every other text frame,
and JSON in a binary one, is a control message of Vexa's bots.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import ValidationError

from app.contracts.whisperlive import BYTES_PER_SAMPLE, END_OF_AUDIO, AudioFormat, Handshake
from app.core.json_guard import TooMuchStructure, load_json
from app.core.pcm import Pcm, Pcm16, to_pcm16

LOUDEST_PLAUSIBLE = 1e3  # far above full scale: such floats are bytes read at the wrong offset
FAINTEST_PLAUSIBLE = 1e-20  # so are smaller ones, except zero
MISREAD_SHARE = 0.1
ROUGHER = 1.5  # read at the wrong offset, 16-bit sound is at least this many times rougher
MIN_COMPARED = 64  # samples; fewer are no evidence
MAX_HANDSHAKE_CHARS = 2**23  # it may contain enrolled voices, hundreds of thousands of characters each
MAX_HANDSHAKE_STRUCTURE = 10_000  # it is parsed on the event loop: 10 ms at most
LEADING_UID = re.compile(r'\s*\{\s*"uid"\s*:\s*"([!#-\[\]-~]{1,256})"')  # the stock client puts it first
MAX_CONTROL_CHARS = 2**16
MAX_CONTROL_STRUCTURE = 1000


class BadHandshake(Exception):
    """The first message is not a usable handshake; the message is for the client, with its uid if that is known."""

    def __init__(self, reason: str, uid: str = "") -> None:
        super().__init__(reason)
        self.uid = uid


@dataclass(frozen=True, slots=True)
class Audio:
    """The next samples, [n] int16.

    Attributes:
        bad_samples: how many were NaN, infinite or far out of range, and were replaced by silence.
        misaligned: bytes that belong to no sample were dropped.
    """

    pcm: Pcm16
    bad_samples: int = 0
    misaligned: bool = False


@dataclass(frozen=True, slots=True)
class EndOfAudio:
    """The client will send no more audio."""


@dataclass(frozen=True, slots=True)
class Control:
    """A control message.

    Attributes:
        kind: its type, empty if it has none.
        payload: its contents as the client sent them, unchecked but bounded; empty if it has none.
    """

    kind: str
    payload: Mapping[str, Any] = field(default_factory=dict)


ClientEvent = Audio | EndOfAudio | Control


def parse_handshake(frame: str | bytes) -> Handshake:
    """Read the first message of a connection.

    Raises:
        BadHandshake: it is not a JSON object, is too large, or has an unusable uid or audio format.
    """
    if isinstance(frame, bytes) and not frame.startswith(b"{"):
        raise BadHandshake("The first message must be the JSON handshake, but audio came first.")
    if len(frame) > MAX_HANDSHAKE_CHARS:
        raise BadHandshake(
            f"The handshake is {len(frame)} characters long; the limit is {MAX_HANDSHAKE_CHARS}.", _leading_uid(frame)
        )
    try:
        fields = load_json(frame, max_structure=MAX_HANDSHAKE_STRUCTURE)
    except TooMuchStructure as error:
        raise BadHandshake(f"The handshake has {error}.", _leading_uid(frame)) from None
    except ValueError:
        raise BadHandshake("The handshake is not valid JSON.") from None
    if not isinstance(fields, dict):
        raise BadHandshake("The handshake must be a JSON object.")
    try:
        return Handshake.model_validate(fields)
    except ValidationError as invalid:
        names = ", ".join(".".join(str(part) for part in error["loc"]) for error in invalid.errors())
        raise BadHandshake(f"The handshake has an unusable value in: {names}.", _uid(fields)) from None


def _leading_uid(frame: str | bytes) -> str:
    """The uid of a handshake that is not parsed, if it comes first; else empty."""
    found = LEADING_UID.match(frame if isinstance(frame, str) else frame[:1024].decode(errors="replace"))
    return found[1] if found else ""


def _uid(fields: dict[str, Any]) -> str:
    """The uid of a handshake with other unusable values; empty if the uid is unusable too."""
    try:
        return Handshake.model_validate({"uid": fields.get("uid")}).uid
    except ValidationError:
        return ""


class FrameReader:
    """Reads the frames of one connection; keeps the partial sample at the end of a frame."""

    def __init__(self, audio_format: AudioFormat = "float32") -> None:
        self._format = audio_format
        self._width = BYTES_PER_SAMPLE[audio_format]
        self._carry = b""

    def read(self, frame: str | bytes) -> ClientEvent:
        """The event of one frame, text or binary."""
        if isinstance(frame, str):
            return EndOfAudio() if frame.strip() == END_OF_AUDIO.decode() else _control(frame)
        if frame == END_OF_AUDIO:
            return EndOfAudio()
        if frame.startswith(b'{"') and frame.endswith(b"}") and (control := _control(frame)).kind:
            return control
        return self._audio(frame)

    def _audio(self, frame: bytes) -> Audio:
        joined = self._carry + frame
        samples = self._samples(joined)
        misaligned = False
        if self._carry:
            alone = self._samples(frame)
            misaligned = (_is_rougher if self._format == "int16" else _is_less_plausible)(samples, alone)
            if misaligned:
                joined, samples = frame, alone
        bad = count_bad(samples)
        self._carry = joined[len(joined) // self._width * self._width :]
        return Audio(to_pcm16(without_bad(samples)), bad, misaligned)

    def _samples(self, data: bytes) -> Pcm:
        """Whole samples of `data` as float in [-1, 1], [n]."""
        data = data[: len(data) // self._width * self._width]
        if self._format == "int16":
            return np.frombuffer(data, dtype="<i2").astype(np.float32) / 32768.0
        if self._format == "uint8":
            return (np.frombuffer(data, dtype=np.uint8).astype(np.float32) - 128.0) / 128.0
        return np.frombuffer(data, dtype="<f4").astype(np.float32)


def count_bad(pcm: Pcm) -> int:
    """How many samples are NaN, infinite or too large for sound."""
    return len(pcm) - int(np.count_nonzero(np.abs(pcm) <= LOUDEST_PLAUSIBLE))


def without_bad(pcm: Pcm) -> Pcm:
    """Replace bad samples by silence."""
    return np.where(np.abs(pcm) <= LOUDEST_PLAUSIBLE, pcm, np.float32(0.0))


def _is_less_plausible(joined: Pcm, alone: Pcm) -> bool:
    """Are the floats implausible as sound if joined, but plausible alone? At a wrong offset their size is random."""
    return bool(_implausible_share(joined) > MISREAD_SHARE >= _implausible_share(alone))


def _implausible_share(pcm: Pcm) -> float:
    """The share of samples too large or too small for sound, among those that are not zero."""
    size = np.abs(pcm[pcm != 0.0])
    plausible = np.count_nonzero((size >= FAINTEST_PLAUSIBLE) & (size <= LOUDEST_PLAUSIBLE))
    return 1.0 - plausible / len(size) if len(size) else 0.0


def _is_rougher(joined: Pcm, alone: Pcm) -> bool:
    """Are 16-bit samples rough if joined, but not alone? At a wrong offset their low byte becomes the high one.

    Alone they must also cross zero: if all low bytes are zero, it is the wrong reading that is smooth.
    """
    if len(alone) < MIN_COMPARED or alone.min() >= 0.0:
        return False
    return bool(np.abs(np.diff(joined)).mean() > ROUGHER * np.abs(np.diff(alone)).mean())


def _control(frame: str | bytes) -> Control:
    """A JSON control message; without a kind if the frame is none, or too large."""
    if len(frame) > MAX_CONTROL_CHARS:
        return Control("")
    try:
        message = load_json(frame, max_structure=MAX_CONTROL_STRUCTURE)
    except ValueError:
        return Control("")
    kind, payload = (message.get("type"), message.get("payload")) if isinstance(message, dict) else (None, None)
    return Control(kind if isinstance(kind, str) else "", payload if isinstance(payload, dict) else {})
