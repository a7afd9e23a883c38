"""Each HTTP request to the gateway: an answer, or permission to open a WebSocket.

Keys, origins and addresses are checked here, before anything of the WebSocket is read. Any path
opens a WebSocket; `/health` and `/metrics` are plain HTTP.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

from app.live.admission import Caller
from app.live.gateway import Gateway
from app.ops.addresses import TrustedProxies, client_address
from app.ops.keys import KeyRing, presented_key
from app.ops.trace_context import parse

log = logging.getLogger(__name__)

TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What the checks need of a request.

    Attributes:
        path: with its query.
        headers: by lower-case name; repeated headers joined with commas.
        peer: address of the other end of the TCP connection.
    """

    path: str
    headers: Mapping[str, str]
    peer: str


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer without a WebSocket."""

    status: HTTPStatus
    body: bytes
    media_type: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


class UpgradeCheck:
    """Decides what becomes of a request."""

    def __init__(self, gateway: Gateway, *, keys: KeyRing, origins: Sequence[str], proxies: TrustedProxies) -> None:
        """`origins` may connect; without any, every origin may."""
        self._gateway = gateway
        self._keys = keys
        self._origins = origins
        self._proxies = proxies
        self._warned = False

    def check(self, request: HttpRequest) -> Caller | HttpAnswer | None:
        """The caller whose WebSocket may open, or the answer; None for plain HTTP to an unknown path."""
        if "upgrade" not in request.headers.get("connection", "").lower():
            return self._plain(request)
        if self._gateway.draining:
            return HttpAnswer(HTTPStatus.SERVICE_UNAVAILABLE, b"The gateway is shutting down; connect again.\n")
        if not may_connect(request, self._origins):
            self._gateway.count_refusal("origin")
            return HttpAnswer(HTTPStatus.FORBIDDEN, b"This origin is not one of STREAMING_ORIGINS.\n")
        return self._caller(request)

    def _caller(self, request: HttpRequest) -> Caller | HttpAnswer:
        key = self._keys.find(offered_key(request))
        if key is None and not self._keys.is_open:
            self._gateway.count_refusal("unauthorized")
            message = b"An API key is required: as a bearer token, in X-API-Key, as a subprotocol or as ?token=.\n"
            return HttpAnswer(HTTPStatus.UNAUTHORIZED, message, headers={"WWW-Authenticate": "Bearer"})
        address = self._address(request)
        trace = parse(request.headers.get("traceparent", ""), request.headers.get("tracestate", ""))
        if key is None:
            return Caller(address=address, trace=trace)
        if not key.allows("realtime"):
            self._gateway.count_refusal("tier")
            refusal = f"The key '{key.name}' may not use the tier 'realtime', which live streams need.\n"
            return HttpAnswer(HTTPStatus.FORBIDDEN, refusal.encode())
        return Caller(key=key.id, key_name=key.name, max_streams=key.concurrent or 0, address=address, trace=trace)

    def _address(self, request: HttpRequest) -> str:
        forwarded_for = request.headers.get("x-forwarded-for", "")
        peer = client_address(request.peer, "", self._proxies)
        address = client_address(request.peer, forwarded_for, self._proxies)
        if forwarded_for and peer and address == peer and not self._warned:
            self._warned = True  # once: it is the same proxy for every client
            log.warning("X-Forwarded-For ignored: not from FORWARDED_ALLOW_IPS", extra={"fields": {"peer": peer}})
        return address

    def _plain(self, request: HttpRequest) -> HttpAnswer | None:
        path = urlsplit(request.path).path.rstrip("/")
        if path == "/health":
            status = HTTPStatus.SERVICE_UNAVAILABLE if self._gateway.draining else HTTPStatus.OK
            details = self._keys.is_open or self._keys.find(offered_key(request)) is not None
            return HttpAnswer(status, json.dumps(self._gateway.health(details=details)).encode(), "application/json")
        if path == "/metrics":
            return HttpAnswer(HTTPStatus.OK, *self._gateway.render_metrics(request.headers.get("accept", "")))
        return None


def offered_key(request: HttpRequest) -> str:
    """The key of a request: from a header, the subprotocols `bearer` and the key, or `?token=`; empty if none."""
    if key := presented_key(request.headers):
        return key
    offered = [part.strip() for part in request.headers.get("sec-websocket-protocol", "").split(",")]
    if len(offered) > 1 and offered[0].lower() == "bearer":
        return offered[1]
    query = parse_qs(urlsplit(request.path).query)
    return next(iter(query.get("token", [])), "")


def may_connect(request: HttpRequest, origins: Sequence[str]) -> bool:
    """Return whether the Origin header is allowed: one of `origins`, or that of a program.

    Programs send no Origin, or, as the stock Python client does, the address that they connect to. That
    is trusted only if it is an IP address or localhost: any other name could be a page's own, pointed at
    this server (DNS rebinding).
    """
    origin = request.headers.get("origin", "").lower().rstrip("/")
    if not origins or not origin or origin in origins:
        return True
    try:
        own = urlsplit("//" + request.headers.get("host", "").lower()).hostname or ""
        return urlsplit(origin).hostname == own and (own == "localhost" or bool(ip_address(own)))
    except ValueError:  # not a URL, or a name
        return False
