"""WhisperLive's frames to events: what a client said, without a socket or a clock.

A binary frame is raw samples in the format the handshake named; a proxy may have cut the stream of
bytes elsewhere, so a sample may begin in one frame and end in the next. Or a frame lost its last
bytes: then the next one stands alone, and which of the two it is shows in the samples. END_OF_AUDIO
is twelve bytes, binary or text, and is looked for before samples are. Every other text frame, and JSON in a
binary one, is a control message of Vexa's bots: understood where it matters, else ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from app.contracts.whisperlive import BYTES_PER_SAMPLE, END_OF_AUDIO, AudioFormat, Handshake
from app.core.json_guard import TooMuchStructure, load_json
from app.core.pcm import Pcm, Pcm16, to_pcm16

LOUDEST_PLAUSIBLE = 1e3  # far beyond full scale: such floats are bytes read at the wrong place
FAINTEST_PLAUSIBLE = 1e-20  # nor is anything this small, unless it is zero
MISREAD_SHARE = 0.1
ROUGHER = 1.5  # aligned 16-bit sound of any kind is smoother than the same bytes shifted by at least this much
LEAST_COMPARED = 64  # samples; fewer prove nothing
MAX_HANDSHAKE_CHARS = 2**23  # enrolled voices travel in it, hundreds of thousands of characters each
MAX_HANDSHAKE_STRUCTURE = 10_000  # it is parsed on the event loop: 10 ms at most
LEADING_UID = re.compile(r'\s*\{\s*"uid"\s*:\s*"([!#-\[\]-~]{1,256})"')  # where the stock client has it
MAX_CONTROL_CHARS = 2**16
MAX_CONTROL_STRUCTURE = 1000


class BadHandshake(Exception):
    """The first message is not a handshake; the message says why, for the client, whose uid it is if that is known."""

    def __init__(self, reason: str, uid: str = "") -> None:
        super().__init__(reason)
        self.uid = uid


@dataclass(frozen=True, slots=True)
class Audio:
    """The next samples, [n] int16.

    Attributes:
        bad_samples: how many were NaN, infinite or far out of range, and became silence.
        misaligned: bytes that belonged to no sample were left out.
    """

    pcm: Pcm16
    bad_samples: int = 0
    misaligned: bool = False


@dataclass(frozen=True, slots=True)
class EndOfAudio:
    """The client has sent all it will."""


@dataclass(frozen=True, slots=True)
class Control:
    """A control message; `kind` is its type, empty if it has none."""

    kind: str


ClientEvent = Audio | EndOfAudio | Control


def parse_handshake(frame: str | bytes) -> Handshake:
    """Read the first message of a connection.

    Raises:
        BadHandshake: it is no JSON object, or names a uid or an audio format that cannot be used.
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
    """The uid of a handshake that cannot be served otherwise; empty if it has none that could be echoed."""
    try:
        return Handshake.model_validate({"uid": fields.get("uid")}).uid
    except ValidationError:
        return ""


class FrameReader:
    """Frames of one connection to events; keeps the part of a sample that a frame ends with."""

    def __init__(self, audio_format: AudioFormat = "float32") -> None:
        self._format = audio_format
        self._width = BYTES_PER_SAMPLE[audio_format]
        self._carry = b""

    def read(self, frame: str | bytes) -> ClientEvent:
        """What one frame, text or binary, says."""
        if isinstance(frame, str):
            return EndOfAudio() if frame.strip() == END_OF_AUDIO.decode() else Control(_kind(frame))
        if frame == END_OF_AUDIO:
            return EndOfAudio()
        if frame.startswith(b'{"') and frame.endswith(b"}") and (kind := _kind(frame)):
            return Control(kind)
        return self._audio(frame)

    def _audio(self, frame: bytes) -> Audio:
        joined = self._carry + frame
        samples = self._samples(joined)
        misaligned = False
        if self._carry:
            alone = self._samples(frame)
            misaligned = (_is_rougher if self._format == "int16" else _is_nonsense_beside)(samples, alone)
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
    """How many samples are NaN, infinite or too large to be sound."""
    return len(pcm) - int(np.count_nonzero(np.abs(pcm) <= LOUDEST_PLAUSIBLE))


def without_bad(pcm: Pcm) -> Pcm:
    """Bad samples become silence, and keep their place in time."""
    return np.where(np.abs(pcm) <= LOUDEST_PLAUSIBLE, pcm, np.float32(0.0))


def _is_nonsense_beside(joined: Pcm, alone: Pcm) -> bool:
    """Are floats numbers of no sound as they are joined, but sound alone? Read at a wrong byte their size is random."""
    return bool(_nonsense_share(joined) > MISREAD_SHARE >= _nonsense_share(alone))


def _nonsense_share(pcm: Pcm) -> float:
    """The share of samples too large or too small for sound, among those that are not zero."""
    size = np.abs(pcm[pcm != 0.0])
    plausible = np.count_nonzero((size >= FAINTEST_PLAUSIBLE) & (size <= LOUDEST_PLAUSIBLE))
    return 1.0 - plausible / len(size) if len(size) else 0.0


def _is_rougher(joined: Pcm, alone: Pcm) -> bool:
    """Do 16-bit samples jump about as they are joined, but not alone? Read at a wrong byte, their low one leads.

    Alone they must also cross zero: where the low bytes are all zero it is the wrong reading that is smooth.
    """
    if len(alone) < LEAST_COMPARED or alone.min() >= 0.0:
        return False
    return bool(np.abs(np.diff(joined)).mean() > ROUGHER * np.abs(np.diff(alone)).mean())


def _kind(frame: str | bytes) -> str:
    """The `type` of a JSON control message; empty if it is none, or too long to be one."""
    if len(frame) > MAX_CONTROL_CHARS:
        return ""
    try:
        message = load_json(frame, max_structure=MAX_CONTROL_STRUCTURE)
    except ValueError:
        return ""
    kind = message.get("type") if isinstance(message, dict) else None
    return kind if isinstance(kind, str) else ""
