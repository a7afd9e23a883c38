import io
import os
import signal
import subprocess
import sys

import pytest

from app.__main__ import main
from app.commands.listen import Screen
from app.live.client.client import Line
from app.live.session.connection import SessionLimits
from tests.live import real, stock, tones
from tests.live.backend import Backend, HttpServer


class Terminal(io.StringIO):
    """Output that claims to be a terminal."""

    def isatty(self):
        """Always."""
        return True


@pytest.fixture(scope="module")
def url():
    """A gateway in front of a service that recognises tones."""
    with (
        HttpServer(Backend(delay_s=0.05)) as service,
        real.running(service.url, limits=SessionLimits(drain_grace_s=1)) as running,
    ):
        yield running.url


def test_partial_is_grey_and_overwritten_final_is_solid():
    """On a terminal a partial is grey on its own line, and is replaced by the final text."""
    out = Terminal()
    screen = Screen(out, io.StringIO())
    screen.line(Line(0, 1, " We al", completed=False))
    screen.line(Line(0, 2, " We all.", completed=True))
    assert out.getvalue() == "\r\x1b[2K\x1b[2mWe al\x1b[0m\r\x1b[2KWe all.\n"


def test_pipe_gets_final_lines_only():
    """Without a terminal there are no escape codes and no partials."""
    out = io.StringIO()
    screen = Screen(out, io.StringIO())
    screen.line(Line(0, 1, " We al", completed=False))
    screen.line(Line(0, 2, " We all.", completed=True))
    screen.close()
    assert out.getvalue() == "We all.\n"


def test_file_to_text_and_srt(url, tmp_path, capsys):
    """The command prints every word and writes the same text as subtitles."""
    recording = tones.chatter(4, seed=1)
    wav = stock.write_wav(tmp_path / "talk.wav", recording.pcm)
    status = main(
        ["listen", str(wav), "--url", url, "--language", "en", "--speed", "4", "--srt", str(tmp_path / "o.srt")]
    )
    assert status == 0
    assert tones.plain(capsys.readouterr().out.replace("\n", " ")) == recording.text
    assert tones.plain(" ".join(text for _, text in stock.read_srt(tmp_path / "o.srt"))) == recording.text


def test_pipe_to_text(url):
    """Raw samples from a pipe are transcribed, including the last word."""
    recording = tones.speak([["alpha", "bravo"], ["kilo"]], tail_s=0)
    raw = (recording.pcm * 32767).astype("<i2").tobytes()
    done = subprocess.run(
        [sys.executable, "-m", "app", "listen", "-", "--url", url, "--language", "en"],
        input=raw,
        capture_output=True,
        timeout=60,
        env=os.environ,
        check=True,
    )
    assert tones.plain(done.stdout.decode().replace("\n", " ")) == recording.text


def test_unreadable_file_is_one_line(url, tmp_path, capsys):
    """A file that cannot be read ends the command with status 1 and a remedy."""
    path = tmp_path / "x.mp3"
    path.write_bytes(b"ID3")
    assert main(["listen", str(path), "--url", url]) == 1
    assert "ffmpeg" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--url", "http://127.0.0.1:9"], "ws://"),
        (["--url", "127.0.0.1:9"], "ws://"),
        (["--url", "ws://127.0.0.1:99999"], "ws://"),
        (["--url", "ws://[bad"], "ws://"),
        (["--speed", "0"], "--speed 0"),
        (["--speed", "-1"], "--speed -1"),
        (["--speed", "nan"], "--speed nan"),
        (["--srt", "/no/such/folder/o.srt"], "--srt /no/such/folder/o.srt"),
        (["--key", "schlüssel"], "ASCII"),
    ],
)
def test_an_option_that_cannot_work_is_one_line(options, named, tmp_path, capsys):
    """The error comes at once, not after the recording."""
    wav = stock.write_wav(tmp_path / "talk.wav", tones.speak([["alpha"]]).pcm)
    assert main(["listen", str(wav), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert named in line


@pytest.mark.parametrize("shell", ["< /dev/null", "<&-"])
def test_no_input_is_one_line(shell, url):
    """The command says so and ends."""
    command = ["/bin/sh", "-c", f'exec "$0" -m app listen - --url "$1" {shell}', sys.executable, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "ffmpeg" in line


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_leaves_subtitles(number, url, tmp_path):
    """If it is stopped during the recording, the subtitles contain the lines that were final by then."""
    recording = tones.chatter(60, seed=7)
    wav = stock.write_wav(tmp_path / "talk.wav", recording.pcm)
    command = [sys.executable, "-m", "app", "listen", str(wav), "--url", url, "--language", "en"]
    with subprocess.Popen(
        [*command, "--srt", str(tmp_path / "o.srt")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as listening:
        assert listening.stdout is not None
        assert listening.stdout.readline()
        listening.send_signal(number)
        _, complaints = listening.communicate(timeout=20)
    assert listening.returncode == 128 + number
    assert "Traceback" not in complaints
    recognised = tones.plain(" ".join(text for _, text in stock.read_srt(tmp_path / "o.srt")))
    assert recognised
    assert recognised == recording.text[: len(recognised)]
