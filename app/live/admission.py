"""Who may open a stream: limits in total, per API key and per client address. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from app.ops.trace_context import TraceContext

Refusal = Literal["full", "key_limit", "address_limit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The other side of a connection.

    Attributes:
        key: fingerprint of its API key; empty on a gateway without keys.
        key_name: the key's name in the keys file; empty for a key without one.
        max_streams: concurrent streams of its key; 0 means no limit of the key itself.
        address: its IP address, or its IPv6 network; empty for a client on this machine.
        trace: the trace that the connection belongs to; None without one.
    """

    key: str = ""
    key_name: str = ""
    max_streams: int = 0
    address: str = ""
    trace: TraceContext | None = None

    @property
    def identity(self) -> str:
        """What two connections of one client share. One key may be used from many addresses."""
        return f"key {self.key}" if self.key else f"address {self.address}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """How many streams there may be, and how long a client may take to ask for one.

    Attributes:
        max_clients: streams in all.
        max_per_key: streams of one API key; 0 means no limit.
        max_per_address: streams of one address; 0 means no limit. Clients on this machine have none.
    """

    max_clients: int = 100
    max_per_key: int = 0
    max_per_address: int = 0
    handshake_timeout_s: float = 10.0


def refusal(caller: Caller, streams: Collection[Caller], limits: StreamLimits) -> Refusal | None:
    """Why this caller cannot have another stream now; None if it can.

    Args:
        caller: the client that asks.
        streams: the caller of each open stream.
        limits: those of this gateway.
    """
    of_key = min((each for each in (limits.max_per_key, caller.max_streams) if each), default=0)
    if of_key and caller.key and sum(each.key == caller.key for each in streams) >= of_key:
        return "key_limit"
    if limits.max_per_address and caller.address:
        same_address = sum(each.address == caller.address for each in streams)
        if same_address >= limits.max_per_address:
            return "address_limit"
    return "full" if len(streams) >= limits.max_clients else None
