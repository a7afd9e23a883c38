from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Iterator

import pytest

from app.ops import logs, trace_context
from app.ops.logs import JsonFormatter, TextFormatter
from app.ops.version import VERSION

NASTY = 'x"}\n{"level": "error", "event": "forged"}\r\x1b[31m\x00\x85\u2028\u2029\ud800é'


def record(message: str = "request", *, exc: BaseException | None = None, **fields: object) -> logging.LogRecord:
    """A log record with fields, as the application makes them."""
    made = logging.LogRecord("app.test", logging.INFO, __file__, 1, message, None, None)
    made.__dict__["fields"] = fields
    if exc is not None:
        made.exc_info = (type(exc), exc, exc.__traceback__)
    return made


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """The root logger, restored afterwards."""
    logger = logging.getLogger()
    before = {name: logging.getLogger(name).level for name in logs._NOISY}
    level = logger.level
    monkeypatch.setattr(logger, "handlers", [])
    yield logger
    logger.setLevel(level)
    for name, old in before.items():
        logging.getLogger(name).setLevel(old)


def test_json_line_has_its_keys_and_fields():
    """A line is one object: time with its zone, level, logger, event, then the fields."""
    line = json.loads(JsonFormatter().format(record(status=200, path="/v1")))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line.pop("ts"))
    assert line == {"level": "info", "logger": "app.test", "event": "request", "status": 200, "path": "/v1"}


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()], ids=["json", "text"])
def test_no_input_can_forge_a_line(formatter: logging.Formatter):
    """Line ends, terminal sequences and quotes in a field or an event leave one printable line."""
    line = formatter.format(record(f"odd {NASTY.replace(chr(0xD800), '')}", filename=NASTY))
    assert len(line.splitlines()) == 1
    assert line.isprintable()


def test_json_survives_every_value():
    """A nasty string survives unchanged; a value that JSON does not know is shown as text."""
    line = json.loads(JsonFormatter().format(record(name=NASTY, cause=ValueError("v"), when={1})))
    assert line["name"] == NASTY
    assert line["cause"] == "v"
    assert line["when"] == "{1}"


def test_json_keeps_an_exception_in_the_line():
    """A traceback is a field, not lines of its own."""
    line = JsonFormatter().format(record("a bug", exc=ValueError("first\nsecond")))
    assert len(line.splitlines()) == 1
    assert "first\nsecond" in json.loads(line)["exception"]


def test_text_indents_an_exception():
    """Below its event, no line of a traceback starts where events start."""
    forged = "12:00:00 INFO    forged\n12:00:00 INFO    again\x1b[2J"
    first, *rest = TextFormatter().format(record("a bug", exc=ValueError(forged))).split("\n")
    assert first.endswith("a bug")
    assert len(rest) > 1
    assert all(line.startswith("    ") and line.isprintable() for line in rest)


def test_text_line_reads_well():
    """Time, level, event, then key=value."""
    assert re.fullmatch(
        r'\d\d:\d\d:\d\d INFO    ready model="demo" slots=4',
        TextFormatter().format(record("ready", model="demo", slots=4)),
    )


@pytest.mark.parametrize(("style", "kind"), [("json", JsonFormatter), ("text", TextFormatter), ("auto", JsonFormatter)])
def test_configure_chooses_the_format(
    root: logging.Logger, monkeypatch: pytest.MonkeyPatch, style: str, kind: type[logging.Formatter]
):
    """The style is the configured one; auto is JSON unless standard error is a terminal."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    logs.configure(level="warning", style=style, service="stt-worker", worker_id="w1")
    (handler,) = root.handlers
    assert isinstance(handler.formatter, kind)
    assert root.level == logging.WARNING


def test_auto_is_text_on_a_terminal(root: logging.Logger, monkeypatch: pytest.MonkeyPatch):
    """On a terminal, auto is text."""
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    logs.configure(level="info", style="auto", service="stt-worker", worker_id="w1")
    assert isinstance(root.handlers[0].formatter, TextFormatter)


def test_every_json_line_names_its_process(root: logging.Logger, monkeypatch: pytest.MonkeyPatch):
    """Its kind, its version and the worker; also the lines of libraries, which have no fields."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure(level="info", style="json", service="stt-worker", worker_id="w1")
    logging.getLogger("app").info("ours", extra={"fields": {"a": 1}})
    logging.getLogger("some.library").warning("theirs %s", NASTY)
    logging.getLogger("uvicorn.error").info("noise")
    ours, theirs = (json.loads(line) for line in stream.getvalue().splitlines())
    for line in (ours, theirs):
        assert (line["service"], line["version"]) == ("stt-worker", VERSION)
    assert (ours["worker_id"], ours["a"]) == ("w1", 1)
    assert (theirs["worker_id"], theirs["event"]) == ("w1", f"theirs {NASTY}")


def test_a_process_without_a_worker_id(root: logging.Logger, monkeypatch: pytest.MonkeyPatch):
    """The gateway's lines have no worker_id."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure(level="info", style="json", service="stt-gateway")
    logging.getLogger("app").info("ours", extra={"fields": {"a": 1}})
    line = json.loads(stream.getvalue())
    assert "worker_id" not in line
    assert line["a"] == 1


@pytest.mark.parametrize("library", ["aiosqlite", "sqlalchemy.engine", "psycopg.pool", "redis"])
def test_what_is_written_to_a_database_is_not_logged(root: logging.Logger, library: str):
    """These libraries log statements with their values at DEBUG, and values are what people said."""
    logs.configure(level="debug", style="json", service="stt-collector")
    assert not logging.getLogger(library).isEnabledFor(logging.INFO)


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()], ids=["json", "text"])
def test_lines_of_a_traced_request_have_its_id(formatter: logging.Formatter):
    """Every line that is written while the request is served, whoever writes it; others have no such field."""
    with trace_context.serving(trace_context.TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")):
        assert "4bf92f3577b34da6a3ce929d0e0e4736" in formatter.format(record())
    assert "trace_id" not in formatter.format(record())
