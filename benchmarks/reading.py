"""One reading of one source inside a process of its own: prints what it cost, keeps the token.

python -m benchmarks.reading CONFIG TOKEN_FILE
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import orjson

from benchmarks.runs import peak_mib
from reconciler import config, wiring
from reconciler.commands.running import run_async
from reconciler.core.outcomes import Failed
from reconciler.net.exchange import AiohttpExchange
from reconciler.ports import EntryPage, ReadEnd, Request, Response, Wanted, Watermark
from reconciler.runtime.clock import SystemClock


class Counted:
    """A connection over HTTP that counts."""

    requests = 0
    received_bytes = 0

    def __init__(self, **settings: Any) -> None:
        self._exchange = AiohttpExchange(**settings)

    async def __call__(self, request: Request) -> Response | Failed:
        answer = await self._exchange(request)
        Counted.requests += 1
        Counted.received_bytes += len(answer.body) if isinstance(answer, Response) else 0
        return answer

    async def aclose(self) -> None:
        await self._exchange.aclose()


async def work(path: Path, since: str | None) -> tuple[dict[str, float], str]:
    """Read what changed since the token, everything where there is none; return the figures and the new token."""
    loaded = config.load(path)
    source = wiring.build_source(loaded, "staff", SystemClock(), connect=Counted)
    wanted = Wanted(frozenset({"mail", "displayName", "title"}), frozenset())
    entries, new = 0, ""
    began = time.perf_counter()
    async for event in source.read(wanted, since):
        match event:
            case EntryPage(entries=page):
                entries += len(page)
            case ReadEnd(complete=complete, problems=problems):
                if not complete:
                    raise SystemExit(f"incomplete: {problems}")
            case Watermark(token=str() as token):
                new = token
            case _:
                pass
    took = time.perf_counter() - began
    await source.close()
    said = {"seconds": took, "mib": peak_mib(), "entries": float(entries), "requests": float(Counted.requests)}
    return {**said, "received_bytes": float(Counted.received_bytes)}, new


def main() -> None:
    kept = Path(sys.argv[2])
    since = kept.read_text() if kept.exists() else None
    said, token = run_async(lambda: work(Path(sys.argv[1]), since))
    if token:
        kept.write_text(token)
    sys.stdout.buffer.write(orjson.dumps(said))


if __name__ == "__main__":
    main()
