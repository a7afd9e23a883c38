from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from typing import cast

from tests.cluster.front import NEWER_NGINX, front
from tests.cluster.ports import free_ports
from tests.cluster.stub_worker import stub_worker


class NameServer(asyncio.DatagramProtocol):
    """Answers every IPv4 query with the current `addresses`."""

    def __init__(self) -> None:
        self.addresses: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one query."""
        question = data[12:]
        count = len(self.addresses)
        header = data[:2] + b"\x81\x80\x00\x01" + count.to_bytes(2, "big") + b"\x00\x00\x00\x00"
        records = b"".join(
            b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x02\x58\x00\x04" + socket.inet_aton(address)
            for address in self.addresses
        )
        self.transport.sendto(header + question + records, addr)


async def test_new_workers_are_resolved_while_nginx_runs(run_dir):
    """With NGINX_RESOLVE=1 a worker is used once the name has its address, and no longer when it has not."""
    loop = asyncio.get_running_loop()
    transport, names = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    dns_port = transport.get_extra_info("sockname")[1]
    port = free_ports(1)[0]
    hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    try:
        async with AsyncExitStack() as stack:
            workers = [await stack.enter_async_context(stub_worker(port, host)) for host in hosts]
            for worker in workers:
                worker.release.set()
            names.addresses = hosts[:1]
            nginx = await stack.enter_async_context(
                front(
                    run_dir,
                    nginx=NEWER_NGINX,
                    env={
                        "NGINX_RESOLVE": "1",
                        "NGINX_RESOLVE_S": "1",
                        "NGINX_RESOLVER_ADDRESS": f"127.0.0.1:{dns_port}",
                        "NGINX_WORKER_ADDRESSES": f"transcription-workers:{port}",
                    },
                )
            )

            async def used() -> set[str]:
                """Return the workers that nine requests reach, all of which succeed."""
                before = [len(worker.seen) for worker in workers]
                codes = {(await nginx.post()).status_code for _ in range(9)}
                assert codes == {200}
                after = [len(worker.seen) for worker in workers]
                return {host for host, old, new in zip(hosts, before, after, strict=True) if new > old}

            async def until_used(expected: set[str]) -> None:
                for _ in range(50):
                    if await used() == expected:
                        return
                    await asyncio.sleep(0.1)
                raise AssertionError(f"{expected} never took all requests: {nginx.log.read_text()[-2000:]}")

            for _ in range(50):  # the first look-up takes a moment
                if (await nginx.post()).status_code == 200:
                    break
                await asyncio.sleep(0.05)
            await until_used(set(hosts[:1]))
            names.addresses = hosts
            await until_used(set(hosts))
            names.addresses = hosts[1:]
            await until_used(set(hosts[1:]))
    finally:
        transport.close()
