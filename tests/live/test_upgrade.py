import json

import pytest

from app.live.admission import Caller
from app.live.upgrade import HttpAnswer, HttpRequest, UpgradeCheck, may_connect, offered_key
from app.ops.addresses import TrustedProxies
from app.ops.keys import Key, KeyRing, digest_of
from app.ops.trace_context import TraceContext
from tests.live import live, virtual
from tests.live.backend import Backend
from tests.spans import SPAN_ID, TRACE_ID, TRACEPARENT

UPGRADE = {"connection": "Upgrade", "upgrade": "websocket", "host": "gateway.example:9090"}


def check(
    path="/", *, keys=(), named=None, origins=(), proxies="127.0.0.1,::1", peer="203.0.113.9", drain=False, **headers
):
    """What a fresh gateway does with one request, and its metrics afterwards."""

    async def main():
        async with live.gateway(Backend()) as gate:
            if drain:
                await gate.drain()
            ring = keys if isinstance(keys, KeyRing) else KeyRing(keys)
            upgrade = UpgradeCheck(gate, keys=ring, origins=origins, proxies=TrustedProxies(proxies))
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return upgrade.check(HttpRequest(path, named, peer)), gate.render_metrics()[0].decode()

    return virtual.run(main())


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {"authorization": "Bearer good"}),
        ("/", {"authorization": "bearer  good "}),
        ("/", {"x-api-key": "good"}),
        ("/", {"sec-websocket-protocol": "bearer, good"}),
        ("/ws?x=1&token=good", {}),
        ("/?token=bad", {"authorization": "Bearer good"}),
    ],
)
def test_every_form_of_a_key(path, headers):
    """Headers come first, then the subprotocols, then the query."""
    assert offered_key(HttpRequest(path, headers, "")) == "good"


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/", {}), ("/?token=", {}), ("/", {"sec-websocket-protocol": "good"}), ("/", {"authorization": "Basic good"})],
)
def test_no_key(path, headers):
    """Other forms are not a key."""
    assert offered_key(HttpRequest(path, headers, "")) == ""


@pytest.mark.parametrize("key", ["", "bad", "schl\udcc3\udcbcssel", "good, Bearer good"])
def test_a_wrong_key_is_401_and_counted(key):
    """Whatever the bytes of the key are, the answer is 401, and the metrics count it."""
    answer, metrics = check(keys=("good",), **UPGRADE, authorization=f"Bearer {key}")
    assert isinstance(answer, HttpAnswer)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert 'wsgw_refused_total{reason="unauthorized"} 1.0' in metrics


def test_the_caller_has_a_fingerprint_and_an_address():
    """Limits count by them; the key itself is not kept."""
    caller, _ = check(keys=("good", "other"), **UPGRADE, authorization="Bearer good")
    assert isinstance(caller, Caller)
    assert caller.address == "203.0.113.9"
    assert caller.key == digest_of("good").hex()[:8]
    assert "good" not in repr(caller)


def test_a_named_key_brings_its_name_and_its_limit():
    """For the log and for counting its streams."""
    named = Key(digest=digest_of("good"), name="alice", concurrent=3, tiers=frozenset({"realtime"}))
    caller, _ = check(keys=KeyRing((), named=(named,)), **UPGRADE, authorization="Bearer good")
    assert caller == Caller(key=named.id, key_name="alice", max_streams=3, address="203.0.113.9")


def test_a_key_that_may_not_use_realtime_is_refused():
    """The answer names the key's name and the tier; the metrics count it."""
    named = Key(digest=digest_of("good"), name="alice", tiers=frozenset({"standard"}))
    answer, metrics = check(keys=KeyRing((), named=(named,)), **UPGRADE, authorization="Bearer good")
    assert isinstance(answer, HttpAnswer)
    assert answer.status == 403
    assert answer.body == b"The key 'alice' may not use the tier 'realtime', which live streams need.\n"
    assert 'wsgw_refused_total{reason="tier"} 1.0' in metrics


@pytest.mark.parametrize(
    ("peer", "address"), [("127.0.0.1", "198.51.100.7"), ("203.0.113.9", "203.0.113.9")], ids=["proxy", "stranger"]
)
def test_a_forwarded_address_counts_only_from_a_trusted_proxy(peer, address):
    """A client cannot name another address to avoid its limit."""
    caller, _ = check(peer=peer, **UPGRADE, x_forwarded_for="198.51.100.7")
    assert caller == Caller(address=address)


def test_an_untrusted_proxy_is_reported_once(caplog):
    """Without FORWARDED_ALLOW_IPS all clients of a proxy share one address: the log says so."""

    async def main():
        async with live.gateway(Backend()) as gate:
            upgrade = UpgradeCheck(gate, keys=KeyRing(()), origins=(), proxies=TrustedProxies("127.0.0.1"))
            for number in range(3):
                upgrade.check(HttpRequest("/", {**UPGRADE, "x-forwarded-for": f"198.51.100.{number}"}, "172.18.0.2"))

    virtual.run(main())
    assert [record.message for record in caplog.records] == ["X-Forwarded-For ignored: not from FORWARDED_ALLOW_IPS"]


@pytest.mark.parametrize(
    ("origins", "origin", "accepted"),
    [
        ((), "https://evil.example", True),
        (("https://app.example",), "https://app.example", True),
        (("https://app.example",), "HTTPS://App.Example/", True),
        (("https://app.example",), "", True),
        (("https://app.example",), "http://gateway.example:9090", False),
        (("chrome-extension://abc",), "chrome-extension://abc", True),
        (("https://app.example",), "https://evil.example", False),
        (("https://app.example",), "https://app.example.evil.example", False),
        (("https://app.example",), "chrome-extension://abc", False),
        (("https://app.example",), "null", False),
        (("https://app.example",), "http://[", False),
    ],
)
def test_origins(origins, origin, accepted):
    """Without a list, any origin; with one, the listed ones and clients without Origin."""
    headers = {**UPGRADE, "origin": origin} if origin else UPGRADE
    assert may_connect(HttpRequest("/", headers, ""), origins) is accepted


@pytest.mark.parametrize(
    ("host", "accepted"),
    [("127.0.0.1:9090", True), ("localhost:9090", True), ("[::1]:9090", True), ("gateway.example:9090", False)],
)
def test_the_stock_client_sends_the_gateways_address_as_origin(host, accepted):
    """Accepted if it is an IP address or localhost; a name could be that of a page that points it here."""
    headers = {**UPGRADE, "host": host, "origin": f"http://{host}"}
    assert may_connect(HttpRequest("/", headers, ""), ("https://app.example",)) is accepted


def test_a_refused_origin_is_403_and_counted():
    """Before the key is checked."""
    answer, metrics = check(origins=("https://app.example",), **UPGRADE, origin="https://evil.example")
    assert isinstance(answer, HttpAnswer)
    assert answer.status == 403
    assert 'wsgw_refused_total{reason="origin"} 1.0' in metrics


@pytest.mark.parametrize(
    ("keys", "headers", "details"),
    [
        ((), {}, True),
        (("good",), {}, False),
        (("good",), {"authorization": "Bearer bad"}, False),
        (("good",), {"authorization": "Bearer good"}, True),
    ],
)
def test_health_details_need_a_key_where_keys_are_set(keys, headers, details):
    """Without one only the status is shown, which is enough for a health check."""
    answer, _ = check("/health", keys=keys, **headers)
    assert isinstance(answer, HttpAnswer)
    assert answer.status == 200
    shown = json.loads(answer.body)
    assert shown["status"] == "healthy"
    assert ("sessions" in shown) is details
    assert details or shown.keys() == {"status"}


def test_a_draining_gateway():
    """Health is 503, and no WebSocket opens."""
    health, _ = check("/health/", drain=True)
    opened, _ = check(drain=True, **UPGRADE)
    assert isinstance(health, HttpAnswer)
    assert isinstance(opened, HttpAnswer)
    assert (health.status, opened.status) == (503, 503)


def test_metrics_and_other_paths():
    """Metrics are plain text without a key; any other plain request is left to the library, which answers 426."""
    metrics, _ = check("/metrics", keys=("good",))
    assert isinstance(metrics, HttpAnswer)
    assert b"wsgw_sessions_active" in metrics.body
    assert check("/other")[0] is None


def test_metrics_are_openmetrics_on_request():
    """Prometheus accepts it; a client that names no format gets the plain text."""
    wanted, _ = check("/metrics", accept="application/openmetrics-text; version=1.0.0")
    plain, _ = check("/metrics")
    assert isinstance(wanted, HttpAnswer)
    assert isinstance(plain, HttpAnswer)
    assert wanted.media_type.startswith("application/openmetrics-text")
    assert wanted.body.endswith(b"# EOF\n")
    assert plain.media_type.startswith("text/plain; version=0.0.4")


def test_the_caller_has_its_trace():
    """A valid traceparent of the handshake; a malformed one, and two of them, count as none."""
    caller, _ = check(**UPGRADE, traceparent=TRACEPARENT, tracestate="a=1")
    assert caller.trace == TraceContext(TRACE_ID, SPAN_ID, sampled=True, state="a=1")
    for malformed in ("x", f"{TRACEPARENT}, {TRACEPARENT}", TRACEPARENT.upper()):
        caller, _ = check(**UPGRADE, traceparent=malformed)
        assert caller.trace is None
