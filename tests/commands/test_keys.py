from __future__ import annotations

from pathlib import Path

import pytest

from app.commands.keys import main
from app.ops.keys import Key, digest_of
from app.ops.keys_format import parse


def test_a_key_is_printed_once_with_its_entry(capsys: pytest.CaptureFixture[str]):
    """The entry has the hash of the key and the limits; the key is random, and not on standard output."""
    made = []
    for _ in range(2):
        limits = ["--tiers", "standard, realtime", "--requests-per-minute", "60", "--concurrent", "4"]
        assert main(["new", "--name", "alice", *limits, "--audio-seconds-per-day", "36000"]) == 0
        printed = capsys.readouterr()
        secret, entry = printed.err.splitlines()[1], printed.out
        assert secret.startswith("sk-stt-")
        assert len(secret) > 40
        assert secret not in entry
        assert parse(entry) == (
            Key(
                digest=digest_of(secret),
                name="alice",
                tiers=frozenset({"standard", "realtime"}),
                requests_per_minute=60,
                concurrent=4,
                audio_seconds_per_day=36_000,
            ),
        )
        made.append(secret)
    assert made[0] != made[1]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--name", "a b"], "is no name of a key"),
        (["--name", "other"], "metrics use it"),
        (["--name", "a", "--concurrent", "0"], "'0' is not a whole number from 1"),
        (["--name", "a", "--requests-per-minute", "1e3"], "is not a whole number from 1"),
        (["--name", "a", "--tiers", "fast"], "'fast' is not one of deferred, realtime, standard"),
        ([], "--name"),
    ],
)
def test_wrong_arguments_are_explained(arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]):
    """With argparse's exit status, and nothing on standard output."""
    with pytest.raises(SystemExit) as ended:
        main(["new", *arguments])
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert reason in printed.err


def test_a_file_can_be_checked_before_it_is_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A right one is summed up; a wrong one is one line and status 2."""
    path = tmp_path / "keys.toml"
    main(["new", "--name", "alice"])
    path.write_text(capsys.readouterr().out)
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out == "1 key: alice\n"
    path.write_text("[[key]]")
    assert main(["check", str(path)]) == 2
    assert capsys.readouterr().err == f"error: API_KEYS_FILE={path}: line 1: name is missing\n"
