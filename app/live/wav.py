"""16-bit mono samples to a WAV file in memory: 44 bytes of header and the samples as they are.

The service recognises exactly this layout and decodes it without a codec library.
"""

from __future__ import annotations

import struct

from app.core.pcm import SAMPLE_RATE_HZ

SHORTEST_SAMPLES = SAMPLE_RATE_HZ // 2  # the service refuses less than a tenth of a second, models like a little more


def encode_wav(pcm: bytes) -> bytes:
    """Little-endian 16-bit samples at 16 kHz to a RIFF file; a very short one is followed by silence."""
    pcm = pcm.ljust(SHORTEST_SAMPLES * 2, b"\0")
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", 36 + len(pcm), b"WAVE",
        b"fmt ", 16, 1, 1, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * 2, 2, 16,
        b"data", len(pcm),
    )  # fmt: skip
    return header + pcm
