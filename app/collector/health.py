"""What the collector knows of its own state, kept by its loops, so that a probe asks neither Redis nor the database."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

log = logging.getLogger(__name__)

State = Literal["healthy", "unhealthy", "unknown"]
LOOP_LIMIT_S: Final = 30.0
MAX_REASONS: Final = 8  # that are logged of one outage


@dataclass(frozen=True, slots=True)
class _Outage:
    """Since when something does not answer, and the reasons that were logged."""

    since_s: float
    reasons: set[str] = field(default_factory=set)


class Health:
    """The state behind `/health`, `/health/ready` and the gauges of the same values.

    Attributes:
        redis: the result of the last use; unknown before the first.
        lag_s: age of the oldest entry that is not stored; None if unknown.
        warnings: what people should look at although the process is ready.
    """

    def __init__(self, monotonic: Callable[[], float], *, lag_alarm_s: float) -> None:
        """Start with nothing known.

        Args:
            monotonic: a clock in seconds.
            lag_alarm_s: a larger lag makes the process unready.
        """
        self._monotonic = monotonic
        self._lag_alarm_s = lag_alarm_s
        self._ticked: dict[str, float] = {}
        self._database_uses: dict[str, bool] = {}
        self._outages: dict[str, _Outage] = {}
        self.redis: State = "unknown"
        self.lag_s: float | None = None
        self.warnings: tuple[str, ...] = ()

    def tick(self, loop: str) -> None:
        """A loop made progress."""
        self._ticked[loop] = self._monotonic()

    def forget(self, loop: str) -> None:
        """A loop has ended on purpose."""
        self._ticked.pop(loop, None)

    def loop_ages_s(self) -> Mapping[str, float]:
        """Seconds since each loop made progress."""
        now = self._monotonic()
        return {loop: now - at for loop, at in self._ticked.items()}

    @property
    def database(self) -> State:
        """Healthy if the last use of each kind succeeded; unknown before the first."""
        uses = self._database_uses.values()
        return "unknown" if not uses else "healthy" if all(uses) else "unhealthy"

    def set_database(self, *, ok: bool, use: Literal["read", "write"] = "read", reason: str = "") -> None:
        """The database answered, or it did not, for this reason; a locked one may still be read."""
        self._database_uses[use] = ok
        self._log_change("the database", self.database, reason)

    def set_redis(self, *, ok: bool, reason: str = "") -> None:
        """Redis answered, or it did not, for this reason."""
        self.redis = "healthy" if ok else "unhealthy"
        self._log_change("Redis", self.redis, reason)

    def obstacles(self) -> tuple[str, ...]:
        """Why the process is not ready; empty if it is.

        Redis away is an obstacle only once a loop has waited for it for 30 s: transcripts can still be read.
        """
        found = [] if self.database == "healthy" else [f"database: {self.database}"]
        if self.lag_s is not None and self.lag_s > self._lag_alarm_s:
            found.append(f"lag: {self.lag_s:.0f} s is over {self._lag_alarm_s:g} s (LAG_ALARM_S)")
        stuck = {loop: age for loop, age in self.loop_ages_s().items() if age > LOOP_LIMIT_S}
        if stuck and self.redis == "unhealthy":
            found.append("redis: unhealthy")
        return (*found, *(f"{loop}: no progress for {age:.0f} s" for loop, age in sorted(stuck.items())))

    def _log_change(self, what: str, state: State, reason: str) -> None:
        """A line for each reason of an outage and one for its end, however often the loops try in between."""
        if state == "unhealthy":
            known = self._outages.setdefault(what, _Outage(self._monotonic())).reasons
            # without a reason: it answered somebody, as a database that can only be read does
            if (reason or not known) and reason not in known and len(known) < MAX_REASONS:
                known.add(reason)
                fields = {"reason": reason}
                log.warning("%s does not answer; trying again until it does", what, extra={"fields": fields})
        elif state == "healthy" and (outage := self._outages.pop(what, None)) is not None:
            away_s = round(self._monotonic() - outage.since_s, 1)
            log.info("%s answers again", what, extra={"fields": {"away_s": away_s}})
