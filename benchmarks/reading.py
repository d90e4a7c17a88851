"""One reading of one source inside a process of its own: prints seconds, memory and entries, keeps the token.

python -m benchmarks.reading CONFIG TOKEN_FILE
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import orjson

from benchmarks.runs import peak_mib
from reconciler import config, wiring
from reconciler.commands.running import run_async
from reconciler.ports import EntryPage, ReadEnd, Wanted, Watermark
from reconciler.runtime.clock import SystemClock


async def work(path: Path, since: str | None) -> tuple[dict[str, float], str]:
    """Read what changed since the token, everything where there is none; return the figures and the new token."""
    loaded = config.load(path)
    source = wiring.build_source(loaded, "staff", SystemClock())
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
    return {"seconds": took, "mib": peak_mib(), "requests": float(entries)}, new


def main() -> None:
    kept = Path(sys.argv[2])
    since = kept.read_text() if kept.exists() else None
    said, token = run_async(lambda: work(Path(sys.argv[1]), since))
    if token:
        kept.write_text(token)
    sys.stdout.buffer.write(orjson.dumps(said))


if __name__ == "__main__":
    main()
