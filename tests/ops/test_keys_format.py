from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ops.keys import Key, digest_of
from app.ops.keys_format import LARGEST, BadKeysFile, parse, render

HASH = digest_of("sk-alice").hex()
ALICE = f'[[key]]\nname = "alice"\nsha256 = "{HASH}"\n'


def refusal(text: str) -> str:
    """Why a file is refused."""
    with pytest.raises(BadKeysFile) as refused:
        parse(text)
    return str(refused.value)


def test_every_field_is_read():
    """In the file's order; what is left out is not limited, and the hash may be in capitals."""
    bob = f"""
        # for people
        [[key]]
        name = "bob@example.org"
        sha256 = "{digest_of("sk-bob").hex().upper()}"
        tiers = ["realtime", "standard"]
        requests_per_minute = 60
        concurrent = 4
        audio_seconds_per_day = 0.5e5
    """
    assert parse(ALICE + bob) == (
        Key(digest=digest_of("sk-alice"), name="alice"),
        Key(
            digest=digest_of("sk-bob"),
            name="bob@example.org",
            tiers=frozenset({"realtime", "standard"}),
            requests_per_minute=60,
            concurrent=4,
            audio_seconds_per_day=50_000.0,
        ),
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("conccurrent = 3", "line 1, key 'alice': unknown field 'conccurrent'; did you mean 'concurrent'?"),
        ("request_per_minute = 3", "did you mean 'requests_per_minute'?"),
        ("zebra = 3", "unknown field 'zebra'; there is only name, sha256, tiers, requests_per_minute, concurrent,"),
        ("requests_per_minute = 0", "requests_per_minute: '0' is not a whole number from 1 to 1000000000; leave"),
        ("requests_per_minute = true", "requests_per_minute: 'True' is not a whole number"),
        ("requests_per_minute = 1.5", "requests_per_minute: '1.5' is not a whole number"),
        ('concurrent = "4"', "concurrent: '4' is not a whole number"),
        ("concurrent = -1", "concurrent: '-1' is not"),
        ("audio_seconds_per_day = nan", "audio_seconds_per_day: 'nan' is not a number"),
        ("audio_seconds_per_day = inf", "audio_seconds_per_day: 'inf' is not a number"),
        ("tiers = []", "tiers: must be a list of deferred, realtime, standard; leave it out to allow all"),
        ('tiers = "realtime"', "tiers: must be a list"),
        ("concurrent = 0x" + "f" * 5000, "concurrent: a number of thousands of digits is not a whole number"),
        ("audio_seconds_per_day = 0x" + "f" * 5000, "audio_seconds_per_day: a number of thousands of digits is not"),
        ("tiers = [0x" + "f" * 5000 + "]", "tiers: a number of thousands of digits is not one of"),
        ('tiers = ["realtme"]', "tiers: 'realtme' is not one of deferred, realtime, standard; did you mean 'realtime'"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(line: str, reason: str):
    """With its line, its key, its value and what is allowed; a misspelt field with the one that was meant."""
    message = refusal(ALICE + line)
    assert reason in message
    assert message.startswith("line 1, key 'alice': ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no key; add one with: python -m app keys new"),
        ("# only a comment", "has no key"),
        ("[[keys]]", "unknown field 'keys'; did you mean 'key'?"),
        ("[key]\nname = 'a'", "begin each key with [[key]]"),
        ("key = [1]", "begin each key with [[key]]"),
        ("[[key]", "not valid TOML: "),
        (ALICE + "concurrent = four\n", "(at line 4, column 14)"),
        ("x = " + "[" * 50_000, "not valid TOML: "),
        ("x = " + "9" * 100_000, "not valid TOML: "),
        (f'[[key]]\nsha256 = "{HASH}"', "line 1: name is missing"),
        ("[[key]]\nname = 'alice'", "line 1, key 'alice': sha256 is missing"),
        (ALICE + ALICE, "line 4, key 'alice': another key has this name already"),
        (ALICE + ALICE.replace("alice", "bob"), "line 4, key 'bob': the same sha256 as key 'alice'"),
        (ALICE.replace("alice", "other"), "'other' cannot be the name of a key"),
        (ALICE.replace("alice", "a" * 65), "1 to 64 letters, digits"),
        (ALICE.replace("alice", "a b"), "1 to 64 letters, digits"),
        (ALICE.replace("alice", "-a"), "1 to 64 letters, digits"),
        (ALICE.replace("alice", "a\\u202eb"), "1 to 64 letters, digits"),
        (ALICE.replace('"alice"', "7"), "1 to 64 letters, digits"),
        (f"key = [{{name = 'alice', sha256 = '{HASH}', x = 1}}]", "entry 1, key 'alice': unknown field 'x'"),
    ],
)
def test_a_wrong_file_is_refused(text: str, reason: str):
    """The message says where, what is wrong and the remedy, in one line."""
    message = refusal(text)
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize("sha256", ["sk-secret", HASH[:63], HASH + "0", "g" * 64])
def test_a_key_in_place_of_its_hash_is_not_shown(sha256: str):
    """The message says how long it is and how a hash is made, but not the value."""
    message = refusal(f'[[key]]\nname = "alice"\nsha256 = "{sha256}"')
    assert f"sha256: not a SHA-256 of {len(sha256)} characters: it has 64 hexadecimal digits" in message
    assert "sha256sum" in message
    assert sha256 not in message


def test_five_thousand_keys_are_read():
    """As many as fit the largest file."""
    text = "".join(f'[[key]]\nname = "k{n}"\nsha256 = "{digest_of(str(n)).hex()}"\n' for n in range(5000))
    assert len(parse(text)) == 5000


@given(
    st.builds(
        Key,
        digest=st.binary(min_size=32, max_size=32),
        name=st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._@-]{0,63}\Z").filter(lambda name: name != "other"),
        tiers=st.none() | st.frozensets(st.sampled_from(["realtime", "standard", "deferred"]), min_size=1),
        requests_per_minute=st.none() | st.integers(1, LARGEST),
        concurrent=st.none() | st.integers(1, LARGEST),
        audio_seconds_per_day=st.none() | st.integers(1, LARGEST) | st.floats(1, LARGEST),
    )
)
def test_what_is_rendered_is_read_back(key: Key):
    """The command prints entries that a server accepts."""
    assert parse(render(key)) == (key,)


@given(st.text() | st.text(alphabet='[]key="\n name sha256 = 01', max_size=200))
def test_no_text_is_a_crash(text: str):
    """Whatever the file holds, it is read or refused."""
    try:
        parse(text)
    except BadKeysFile as refused:
        assert str(refused)  # noqa: PT017 - both outcomes are right
