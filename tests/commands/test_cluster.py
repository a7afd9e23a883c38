from __future__ import annotations

from argparse import Namespace

import pytest

from app.commands.cluster import wanted_gateways


@pytest.mark.parametrize(
    ("gateways", "collector", "expected"), [(None, False, 0), (None, True, 1), (0, True, 0), (3, False, 3)]
)
def test_a_collector_gets_a_gateway(gateways, collector, expected):
    """Without one it would store nothing; a number that was given is kept."""
    assert wanted_gateways(Namespace(gateways=gateways, collector=collector)) == expected
