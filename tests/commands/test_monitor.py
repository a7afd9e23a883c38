from __future__ import annotations

import socket

import pytest

from app.commands.monitor import choose_port, find_program, main
from app.core.errors import StartupError
from tests.cluster.ports import free_ports


def test_a_missing_program_is_one_line_with_the_remedy(monkeypatch, capsys):
    """Before anything else is looked at."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert main([]) == 1
    assert capsys.readouterr().err == (
        "error: prometheus was not found: run `make monitoring`, which installs it, or as root: "
        "apt-get install prometheus prometheus-alertmanager\n"
    )


def test_either_name_of_a_program_is_found(tmp_path, monkeypatch):
    """Debian calls it prometheus-alertmanager, everyone else alertmanager."""
    program = tmp_path / "alertmanager"
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_program("prometheus-alertmanager", "alertmanager") == str(program)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A PATH with both programs, and a folder in which no cluster runs."""
    for name in ("prometheus", "prometheus-alertmanager"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))


def test_without_a_cluster_it_says_so(installed, capsys):
    """The remedy is the command that starts one."""
    assert main(["--port", "1"]) == 1
    assert capsys.readouterr().err == "error: no cluster runs on that port: start one with `python -m app cluster`\n"


def test_a_webhook_is_a_url(installed, capsys):
    """A host name alone would be refused by Alertmanager in words of its own."""
    assert main(["--webhook", "example.org"]) == 1
    assert "is no URL that begins with http" in capsys.readouterr().err


def test_a_default_port_in_use_gives_way():
    """The address is printed, so any other free port will do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert choose_port(None, port, "--prometheus-port") not in {0, port}
        with pytest.raises(StartupError, match=f"--prometheus-port {port} is in use"):
            choose_port(port, 1, "--prometheus-port")


def test_a_port_that_is_free_is_kept():
    """The default, and one that was asked for; a number beyond 65535 is refused."""
    first, second = free_ports(2)
    assert choose_port(None, first, "--prometheus-port") == first
    assert choose_port(second, first, "--prometheus-port") == second
    with pytest.raises(StartupError, match="is no port"):
        choose_port(65536, first, "--prometheus-port")
