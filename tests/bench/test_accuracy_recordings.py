import json

import pytest

from bench.accuracy.recordings import NON_SPEECH, OTHER, OTHER_LANGUAGES, group_of, recordings_in
from bench.clips import SAMPLES


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("short command, numbers in words", "short commands"),
        ("read, numbers as digits", "read speech"),
        ("short, read", "read speech"),
        ("long, read", "long talks"),
        ("digits, telephone band (8 kHz)", "digits"),
        ("meeting, two speakers in turns", "meetings, calls"),
        ("phone call, two speakers in turns", "meetings, calls"),
        ("conversational (podcast), UK", "conversation"),
        ("Whispered, read", "whisper, falsetto"),
        ("sung", OTHER),
    ],
)
def test_kinds_have_groups(kind, expected):
    """The kind of a manifest leads to one of a few groups."""
    assert group_of(kind, text="words", language="en") == expected


def test_other_recordings_have_groups_of_their_own():
    """No text means no speech, whatever the kind; speech in another language stands apart."""
    assert group_of("short command", text="", language=None) == NON_SPEECH
    assert group_of("short command", text="oui", language="fr") == OTHER_LANGUAGES


def test_a_manifest_becomes_recordings(tmp_path):
    """Lengths have either name; a recording without text has no language, and only English speech counts."""
    entries = [
        {"file": "a.flac", "text": "Hello.", "language": "en", "seconds": 1.5, "kind": "read"},
        {"file": "b.flac", "text": "", "language": None, "seconds": 2, "kind": "non-speech: noise"},
        {"file": "c.flac", "text": "Oui.", "language": "fr", "duration_s": 3.0},
    ]
    (tmp_path / "manifest.json").write_text(json.dumps(entries), encoding="utf-8")
    hello, noise, oui = recordings_in(tmp_path)
    assert (hello.path, hello.duration_s, hello.counts, hello.group) == (tmp_path / "a.flac", 1.5, True, "read speech")
    assert (noise.language, noise.has_speech, noise.counts) == (None, False, False)
    assert (oui.has_speech, oui.counts) == (True, False)


def test_the_samples_of_the_tests_can_be_measured():
    """Their manifest has the same fields."""
    found = recordings_in(SAMPLES)
    assert any(each.counts for each in found)
    assert all(each.path.is_file() and each.duration_s > 0 for each in found)
