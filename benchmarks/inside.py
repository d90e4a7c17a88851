"""One cycle inside a process of its own: prints seconds, memory and requests.

python -m benchmarks.inside CONFIG cycle|settle
"""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

from benchmarks.runs import peak_mib
from reconciler import config, wiring
from reconciler.commands.running import run_async
from reconciler.runtime.cycle import run_cycle
from reconciler.runtime.report import CycleReport


async def work(path: Path, how: str) -> CycleReport:
    """Run the cycle; `settle` pretends the writes, so that the state is as after a real initial cycle."""
    loaded = config.load(path)
    async with (
        wiring.open_house(loaded, write=True) as house,
        house.world("app", rehearse=how == "settle") as world,
    ):
        return await run_cycle(house.plan("app"), world)


def main() -> None:
    report = run_async(lambda: work(Path(sys.argv[1]), sys.argv[2]))
    if report.exit_code != 0:
        raise SystemExit(orjson.dumps(report.as_dict(), option=orjson.OPT_INDENT_2).decode())
    said = {"seconds": report.duration_seconds, "mib": peak_mib(), "requests": sum(report.requests.values())}
    sys.stdout.buffer.write(orjson.dumps(said))


if __name__ == "__main__":
    main()
