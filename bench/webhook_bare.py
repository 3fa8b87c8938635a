"""The least that a sender must do: post one body again and again by httpcore, nothing written.

`python -m bench.webhook_bare URL COUNT AT_ONCE [--fresh]`, with {"headers", "body"} as JSON on
standard input; prints {"seconds", "cpu"}. With --fresh each request has a new connection, as
the engine's have. Used by webhooks.py.
"""

import argparse
import asyncio
import json
import sys
import time
from typing import Any

import httpcore


async def post(url: str, message: dict[str, Any], count: int, at_once: int, fresh: bool) -> None:
    left = iter(range(count))
    address = httpcore.URL(url)
    headers = [("host", address.host.decode()), *message["headers"].items()]
    body = message["body"].encode()
    headers.append(("content-length", str(len(body))))

    async def work() -> None:
        # No pool: with 200 connections httpcore's takes 100 ms of CPU for each request (seen).
        connection = httpcore.AsyncHTTPConnection(address.origin)
        for _ in left:
            request = httpcore.Request("POST", address, headers=headers, content=body)
            answer = await connection.handle_async_request(request)
            assert answer.status == 200
            await answer.aread()
            await answer.aclose()
            if fresh:
                await connection.aclose()
                connection = httpcore.AsyncHTTPConnection(address.origin)
        await connection.aclose()

    await asyncio.gather(*(work() for _ in range(at_once)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("count", type=int)
    parser.add_argument("at_once", type=int)
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    message = json.load(sys.stdin)
    cpu, began = time.process_time(), time.monotonic()
    asyncio.run(post(options.url, message, options.count, options.at_once, options.fresh))
    took = {"seconds": time.monotonic() - began, "cpu": time.process_time() - cpu}
    print(json.dumps(took))


if __name__ == "__main__":
    main()
