import asyncio

import pytest

from app.ops.trace_context import TraceContext, current, headers_of, log_fields, new_context, parse, serving
from tests.spans import SPAN_ID, TRACE_ID, TRACEPARENT


@pytest.mark.parametrize(
    ("traceparent", "sampled"),
    [
        (TRACEPARENT, True),
        (f"00-{TRACE_ID}-{SPAN_ID}-00", False),
        (f"00-{TRACE_ID}-{SPAN_ID}-03", True),  # other bits are reserved, and ignored
        (f"00-{TRACE_ID}-{SPAN_ID}-fe", False),
        (f" \t{TRACEPARENT} ", True),
        (f"cc-{TRACE_ID}-{SPAN_ID}-01", True),  # a later version
        (f"cc-{TRACE_ID}-{SPAN_ID}-01-what-the-future-will-be-like", True),
        (f"cc-{TRACE_ID}-{SPAN_ID}-01-", True),
    ],
)
def test_valid_headers(traceparent: str, sampled: bool):  # noqa: FBT001 - a table
    """The standard's examples: version 00 exactly, later ones by what is known of them."""
    assert parse(traceparent) == TraceContext(TRACE_ID, SPAN_ID, sampled=sampled)


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        " ",
        "00",
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"ff-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{TRACE_ID.upper()}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{SPAN_ID.upper()}-01",
        f"0A-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{SPAN_ID}-0A",
        f"{TRACEPARENT}-",
        f"{TRACEPARENT}-extra",
        f"{TRACEPARENT}.",
        f"cc-{TRACE_ID}-{SPAN_ID}-01.what",
        f"cc-{TRACE_ID}-{SPAN_ID}-011",
        f"00-{TRACE_ID[:-1]}-{SPAN_ID}-01",
        f"00-{TRACE_ID}0-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{SPAN_ID[:-1]}-01",
        f"00-{TRACE_ID}-{SPAN_ID}-1",
        f"00-{TRACE_ID}-{SPAN_ID}",
        f"00-{TRACE_ID[:-1]}g-{SPAN_ID}-01",
        f"00_{TRACE_ID}_{SPAN_ID}_01",
        f"{TRACEPARENT},{TRACEPARENT}",
        f"{TRACEPARENT}, {TRACEPARENT}",
        f"{TRACEPARENT}\n",
        f'{TRACEPARENT}\n{{"level":"error"}}',
        "00-٠bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ],
)
def test_malformed_headers_are_none(traceparent: str):
    """A malformed header counts as none at all; what follows it in the line never matters."""
    assert parse(traceparent) is None


def test_what_is_written_is_read():
    """A context survives the way to another server, its state included."""
    context = TraceContext(TRACE_ID, SPAN_ID, sampled=True, state="vendor=1,other=2")
    headers = headers_of(context)
    assert headers == {"traceparent": TRACEPARENT, "tracestate": "vendor=1,other=2"}
    assert parse(headers["traceparent"], headers["tracestate"]) == context
    assert headers_of(None) == {}
    assert "tracestate" not in headers_of(new_context())


@pytest.mark.parametrize("state", ["x" * 513, "a=\x00", "a=\n", "a=ü"])
def test_state_that_cannot_be_passed_on_is_left_out(state: str):
    """A state that is too long, or no header, changes nothing about the trace."""
    assert parse(TRACEPARENT, state) == TraceContext(TRACE_ID, SPAN_ID, sampled=True)


def test_new_contexts_are_valid_and_differ():
    """A trace that begins here has ids that others accept, and says that nothing was recorded."""
    first, second = new_context(), new_context()
    assert first.trace_id != second.trace_id
    assert parse(headers_of(first)["traceparent"]) == first
    assert not first.sampled


async def test_log_lines_know_their_trace():
    """Lines of a block and of the tasks that it starts carry the id; others do not."""

    async def fields_of_a_task() -> dict[str, object]:
        return dict(log_fields())

    assert log_fields() == {}
    with serving(TraceContext(TRACE_ID, SPAN_ID)):
        assert current() == TraceContext(TRACE_ID, SPAN_ID)
        assert await asyncio.create_task(fields_of_a_task()) == {"trace_id": TRACE_ID}
        with serving(None):
            assert log_fields() == {}
    assert current() is None
