"""Clients that send little or nothing, on a real socket, with limits of tenths of a second."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack

import httpx
import pytest

from app.http.connection import ConnectionLimits
from tests.clients import FILE_PART, MODEL_PART, MULTIPART, PATH, Wire, body_of, live_server, poll

QUICK = ConnectionLimits(head_timeout_s=0.2, idle_body_timeout_s=0.2, write_timeout_s=0.2)
TYPE = f"Content-Type: {MULTIPART.decode()}"
BODY = body_of(MODEL_PART, FILE_PART)


def closed(wire: Wire) -> bool:
    """True once the server has closed the connection without another byte."""
    try:
        return wire.socket.recv(1) == b""
    except ConnectionError:
        return True


def test_a_silent_connection_is_closed():
    """A client that connects and sends nothing is dropped without an answer."""
    with live_server(connection_limits=QUICK) as address, Wire(address) as wire:
        assert closed(wire)


@pytest.mark.parametrize("sent", [b"GET /health HTTP/1.1\r\nHost: w\r\nX-A: b", b"G", b"GET /health HTTP/1.1\r\n"])
def test_an_incomplete_head_is_answered_and_closed(sent: bytes):
    """A head that does not arrive in time is a 408 in the envelope."""
    with live_server(connection_limits=QUICK) as address, Wire(address) as wire:
        wire.socket.sendall(sent)
        status, headers, body = wire.read()
        assert (status, headers["connection"]) == (408, "close")
        assert json.loads(body)["error"]["code"] == "request_timeout"
        assert closed(wire)


def test_a_head_in_drips_gains_no_time():
    """The limit is for the whole head, so a byte now and then does not extend it."""
    with live_server(connection_limits=QUICK) as address, Wire(address) as wire:
        wire.socket.settimeout(0.02)
        received = b""
        for _ in range(200):
            try:
                wire.socket.sendall(b"x")
                received += wire.socket.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            break
        assert received.startswith((b"HTTP/1.1 408", b"HTTP/1.1 431", b"HTTP/1.1 400"))


def test_an_incomplete_second_head_on_a_kept_connection():
    """A kept connection has no more time for its next request than for its first."""
    with live_server(connection_limits=QUICK) as address, Wire(address) as wire:
        wire.send("GET /health/live HTTP/1.1", "Host: w")
        assert wire.read()[0] == 200
        wire.socket.sendall(b"GET /health")
        assert wire.read()[0] == 408
        assert closed(wire)


@pytest.mark.parametrize("line", [b"X-%d: " + b"a" * 1000 + b"\r\n", b"%d" + b"a" * 1000])
def test_an_endless_head_is_refused(line: bytes):
    """Many headers, or one without end, are a 431 long before they fill the memory."""
    with live_server() as address, Wire(address) as wire:
        wire.socket.sendall(b"GET /health HTTP/1.1\r\nHost: w\r\nX: ")
        with pytest.raises(OSError, match=r"reset|Broken pipe"):  # noqa: PT012 - which of the lines is open
            for number in range(100_000):
                wire.socket.sendall(line % number)
        assert httpx.get(f"http://127.0.0.1:{address[1]}/health/live").status_code == 200


def test_endless_trailers_are_cut_off():
    """Headers behind a chunked body are limited like those before it."""
    with live_server() as address, Wire(address) as wire:
        wire.send(f"POST {PATH} HTTP/1.1", "Host: w", TYPE, "Transfer-Encoding: chunked", body=b"1\r\n-\r\n0\r\n")
        with pytest.raises(OSError, match=r"reset|Broken pipe"):  # noqa: PT012 - which of the lines is open
            for number in range(100_000):
                wire.socket.sendall(b"X-%d: " % number + b"a" * 1000 + b"\r\n")
        assert httpx.get(f"http://127.0.0.1:{address[1]}/health/live").status_code == 200


def test_the_rest_of_a_refused_body_cannot_stall():
    """After its 401 a client that announced more and sends a little of it is dropped."""
    with live_server(connection_limits=QUICK, api_keys="k") as address, Wire(address) as wire:
        wire.send(f"POST {PATH} HTTP/1.1", "Host: w", TYPE, "Content-Length: 1000000", body=b"x" * 1000)
        assert wire.read()[0] == 401
        wire.socket.sendall(b"x")
        assert closed(wire)


def test_a_running_request_is_not_limited():
    """Whatever the limits for sending are, an answer may take longer."""
    with live_server(connection_limits=QUICK) as address, Wire(address) as wire:
        wire.send(f"POST {PATH} HTTP/1.1", "Host: w", TYPE, f"Content-Length: {len(BODY)}", body=BODY)
        assert wire.read()[0] == 200
        wire.send("GET /health/live HTTP/1.1", "Host: w")
        assert wire.read()[0] == 200


def test_at_the_limit_the_connection_that_was_idle_longest_makes_room():
    """New clients are served, and the oldest of the silent ones goes."""
    limits = ConnectionLimits(max_connections=3)
    with live_server(connection_limits=limits) as address, ExitStack() as wires:
        silent = [wires.enter_context(Wire(address)) for _ in range(3)]
        new = wires.enter_context(Wire(address))
        new.send("GET /v1/models HTTP/1.1", "Host: w")
        assert new.read()[0] == 200
        assert closed(silent[0])
        silent[1].send("GET /health/live HTTP/1.1", "Host: w")
        assert silent[1].read()[0] == 200


def test_with_busy_connections_health_is_still_answered():
    """When all are in the middle of a request, transcriptions get a 503 and health its 200; beyond that, nothing."""
    limits = ConnectionLimits(max_connections=2, spare_connections=1)
    head = (f"POST {PATH} HTTP/1.1", "Host: w", TYPE, f"Content-Length: {len(BODY)}")
    with live_server(connection_limits=limits) as address, ExitStack() as wires:
        busy = [wires.enter_context(Wire(address)) for _ in range(2)]
        for wire in busy:
            wire.send(*head, "Expect: 100-continue")
            assert wire.socket.recv(100).startswith(b"HTTP/1.1 100")
        spare = wires.enter_context(Wire(address))
        spare.send(*head)
        status, headers, body = spare.read()
        assert (status, headers["retry-after"]) == (503, "1")
        assert json.loads(body)["error"]["code"] == "server_is_overloaded"
        spare.socket.sendall(BODY)
        spare.send("GET /health/ready HTTP/1.1", "Host: w")
        assert spare.read()[0] == 200
        spare.send(*head, "Expect: 100-continue")
        spare.read()
        for wire in busy:
            wire.socket.sendall(BODY)
            assert wire.read()[0] == 200


def test_beyond_the_spare_connections_new_ones_are_closed():
    """A last bound, whatever the clients do."""
    limits = ConnectionLimits(max_connections=1, spare_connections=0)
    with live_server(connection_limits=limits) as address, Wire(address) as busy:
        busy.send(f"POST {PATH} HTTP/1.1", "Host: w", TYPE, "Content-Length: 1000", "Expect: 100-continue")
        assert busy.socket.recv(100).startswith(b"HTTP/1.1 100")
        with Wire(address) as late:
            assert closed(late)


def test_a_client_that_reads_nothing_of_its_answers_is_dropped():
    """Large answers that are never read end with the connection, not with the server's memory."""
    with live_server(connection_limits=QUICK) as address, Wire(address) as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.socket.sendall(b"GET /docs/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: w\r\n\r\n" * 20)
        poll(lambda: _hung_up(wire))
        assert httpx.get(f"http://127.0.0.1:{address[1]}/health/live").status_code == 200


def test_pipelined_requests_are_limited():
    """A few are answered in order; a client that sends thousands without reading is cut off."""
    request = b"GET /health/live HTTP/1.1\r\nHost: w\r\n\r\n"
    with live_server() as address, Wire(address) as few, Wire(address) as many:
        few.socket.sendall(request * 20)
        assert [few.read()[0] for _ in range(20)] == [200] * 20
        with pytest.raises(OSError, match=r"reset|Broken pipe"):  # noqa: PT012 - which of them is open
            for _ in range(10_000):
                many.socket.sendall(request * 100)


def _hung_up(wire: Wire) -> bool:
    """True once the server has reset the connection, of which the client reads nothing."""
    try:
        wire.socket.sendall(b"G")
    except ConnectionError:
        return True
    return False
