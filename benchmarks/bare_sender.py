"""The limit for the sender: an aiohttp loop that signs and POSTs bodies it already has, and nothing else.

A process of its own: uvloop, one session, as many workers as requests may be in flight. No Kafka, no rules,
no guard, no audit; the same bodies, headers and signatures to the same receivers.
"""

import argparse
import asyncio
import hmac
import time
from base64 import b64decode, b64encode

import aiohttp
import uvloop

from benchmarks import webhooks

KEY = b64decode(webhooks.SECRET.removeprefix("whsec_"))


async def post_all(network: str, port: int, destinations: int, count: int, concurrency: int) -> None:
    work = list(webhooks.bodies(count, destinations))
    urls = [webhooks.url(network, port, number) for number in range(destinations)]
    waiting = iter(enumerate(work))

    async def worker(session: aiohttp.ClientSession) -> None:
        for number, (to, body) in waiting:
            webhook_id, at = f"msg_{number:032d}", int(time.time())
            content = b"%b.%d.%b" % (webhook_id.encode(), at, body)
            headers = {
                "Content-Type": "application/json",
                "User-Agent": "bare",
                "webhook-id": webhook_id,
                "webhook-timestamp": str(at),
                "webhook-attempt": "1",
                "webhook-signature": "v1," + b64encode(hmac.digest(KEY, content, "sha256")).decode(),
            }
            async with session.post(urls[to], data=body, headers=headers) as response:
                await response.read()
                response.raise_for_status()

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(worker(session) for _ in range(concurrency)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("network")
    for name in ("port", "destinations", "count", "concurrency"):
        parser.add_argument(name, type=int)
    uvloop.run(post_all(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
