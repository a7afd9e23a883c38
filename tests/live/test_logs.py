import json
import logging

from app.live.logs import JsonFormatter


def test_one_line_of_json_whatever_the_message():
    """Line breaks and escape codes cannot forge a second line; fields are keys."""
    record = logging.makeLogRecord({"msg": "a\nb\x1b[31m", "levelname": "INFO", "session": "s1", "seconds": 1.5})
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert "\x1b" not in line
    fields = json.loads(line)
    assert (fields["event"], fields["session"], fields["seconds"]) == ("a\nb\x1b[31m", "s1", 1.5)


def test_exceptions_are_one_field():
    """A traceback stays on the same line."""
    try:
        int("planted")
    except ValueError as error:
        record = logging.makeLogRecord({"msg": "failed", "exc_info": (type(error), error, error.__traceback__)})
    assert "planted" in json.loads(JsonFormatter().format(record))["exception"]
