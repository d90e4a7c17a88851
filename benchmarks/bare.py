"""The yardstick: aiohttp posting bodies that are ready, with nothing else to do.

python -m benchmarks.bare DIRECTORY PORT CONCURRENCY
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import aiohttp
import anyio
import orjson

from benchmarks.runs import peak_mib
from reconciler import config
from reconciler.core.mapping import Mapper
from reconciler.dialects import scim

HEADERS = {
    "Authorization": "Bearer bench-token",
    "Content-Type": "application/scim+json",
    "Accept": "application/scim+json, application/json",
}


def bodies(directory: Path) -> list[bytes]:
    """Return what the cycle would post, made before the clock starts."""
    loaded = config.load(directory / "config.toml")
    job, profile = loaded.jobs["app"], loaded.profiles["app"]
    assert job.users is not None
    mapper = Mapper.compile(job.users, profile)
    made = []
    for line in (directory / "users.jsonl").read_bytes().splitlines():
        resource, _ = mapper.wanted({**orjson.loads(line), "IsSoftDeleted": "False"}).on_create()
        made.append(orjson.dumps(scim.create_body("user", resource, profile)))
    return made


async def post(url: str, ready: list[bytes], concurrency: int) -> float:
    """Post everything with so many at a time; return the seconds."""
    waiting = iter(ready)
    began = time.perf_counter()
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector, headers=HEADERS) as session:

        async def worker() -> None:
            for body in waiting:
                async with session.post(url, data=body) as answer:
                    orjson.loads(await answer.read())
                    assert answer.status == 201

        async with anyio.create_task_group() as group:
            for _ in range(concurrency):
                group.start_soon(worker)
    return time.perf_counter() - began


def main() -> None:
    directory, port, concurrency = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    ready = bodies(directory)
    url = f"http://127.0.0.1:{port}/scim/v2/Users"
    seconds = anyio.run(post, url, ready, concurrency, backend_options={"use_uvloop": True})
    said = {"seconds": seconds, "mib": peak_mib(), "requests": len(ready)}
    sys.stdout.buffer.write(orjson.dumps(said))


if __name__ == "__main__":
    main()
