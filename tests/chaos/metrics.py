"""Read /metrics of one process. Async (aiohttp)."""

from __future__ import annotations

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_S = 5.0

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def samples_of(session: aiohttp.ClientSession, port: int) -> Samples:
    """Return every value by name and labels.

    Raises:
        aiohttp.ClientError, TimeoutError: nobody answers.
    """
    address = f"http://127.0.0.1:{port}/metrics"
    headers = {"Accept": "text/plain;version=0.0.4"}
    async with session.get(address, headers=headers, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as response:
        response.raise_for_status()
        text = await response.text()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def value_of(session: aiohttp.ClientSession, port: int, name: str) -> float:
    """Return the sum of a metric over its labels; 0 if it has none.

    Raises:
        aiohttp.ClientError, TimeoutError: nobody answers.
    """
    return sum(value for (found, _), value in (await samples_of(session, port)).items() if found == name)
