"""Find passages that live text lost or doubled, against the text of the same recording as a file. Pure.

A live pass may hear single words differently, because its windows are cut elsewhere. Lost or doubled audio shows as
a run of words that are missing or additional.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import jiwer


@dataclass(frozen=True, slots=True)
class Passages:
    """The longest runs of words that are missing and additional, and the word errors."""

    missing: int
    additional: int
    errors: int
    words: int


def passages(expected: str, live: str) -> Passages:
    """Compare two texts, ignoring case and punctuation."""
    wanted, heard = _plain(expected), _plain(live)
    if not wanted or not heard:
        return Passages(len(wanted.split()), len(heard.split()), len(wanted.split()), len(wanted.split()))
    result = jiwer.process_words(wanted, heard)
    runs = {"delete": 0, "insert": 0}
    for chunk in result.alignments[0]:
        if chunk.type in runs:
            length = max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
            runs[chunk.type] = max(runs[chunk.type], length)
    errors = result.substitutions + result.deletions + result.insertions
    return Passages(runs["delete"], runs["insert"], errors, len(wanted.split()))


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s']", " ", text.lower()).split())
