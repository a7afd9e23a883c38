"""The list of the cluster's metrics for Prometheus. Pure.

Format: https://prometheus.io/docs/prometheus/latest/configuration/configuration/#file_sd_config
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from app.cluster.layout import Layout
from app.cluster.reconciler import Kind, Member
from app.cluster.transcripts import LOOPBACK
from app.ops.addresses import authority

CLUSTER = "local"
JOBS: dict[Kind, str] = {"worker": "stt-worker", "gateway": "stt-gateway", "collector": "stt-collector"}
BALANCER_JOB = "stt-balancer"


def targets(layout: Layout, members: Iterable[Member], mtail: str | None) -> str:
    """Return the list as the text of a file.

    Args:
        layout: knows the ports.
        members: of every kind, those that restart included: one that does not answer is a finding, too.
        mtail: its address; None if there is none.
    """
    addresses: dict[str, list[str]] = {}
    for member in sorted(members):
        if member.kind in JOBS:
            addresses.setdefault(JOBS[member.kind], []).append(authority(LOOPBACK, layout.port_of(member)))
    if mtail is not None:
        addresses[BALANCER_JOB] = [mtail]
    groups = [{"targets": each, "labels": {"job": job, "cluster": CLUSTER}} for job, each in sorted(addresses.items())]
    return json.dumps(groups, indent=2) + "\n"
