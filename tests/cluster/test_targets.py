from __future__ import annotations

import json
from pathlib import Path

from app.cluster.layout import Layout
from app.cluster.reconciler import Member
from app.cluster.targets import targets

LAYOUT = Layout(root=Path("/code"), run_dir=Path("/run/here"))
MEMBERS = (Member("worker", 2), Member("worker", 1), Member("gateway", 1), Member("collector", 1), Member("redis", 1))


def test_every_member_with_metrics_is_a_target():
    """Grouped by job, in order, with the cluster's name; Redis has no metrics of ours."""
    assert json.loads(targets(LAYOUT, MEMBERS, "127.0.0.1:3903")) == [
        {"targets": ["127.0.0.1:3903"], "labels": {"job": "stt-balancer", "cluster": "local"}},
        {"targets": ["127.0.0.1:8123"], "labels": {"job": "stt-collector", "cluster": "local"}},
        {"targets": ["127.0.0.1:9091"], "labels": {"job": "stt-gateway", "cluster": "local"}},
        {"targets": ["127.0.0.1:8001", "127.0.0.1:8002"], "labels": {"job": "stt-worker", "cluster": "local"}},
    ]
    assert json.loads(targets(LAYOUT, (), None)) == []
