"""How soon a change in a directory is at the app, with a daemon in between that listens.

A part of `make bench`; alone: `make bench BENCH_OPTIONS="--only triggers"`.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

from tests.commands.shell import Hanging
from tests.cycles.test_ldap import Firm
from tests.daemon.process import Daemon
from tests.servers.scim import ScimServer
from tests.servers.slapd import person, running_slapd, user, why_no_slapd


def measure(directory: Path) -> list[tuple[str, str, str]]:
    """Measure from a change in slapd to the request at the app, with a daemon that listens."""
    if why := why_no_slapd():
        return [("from a change in slapd to the app", "not measured", why)]
    people = [user(f"p{number}") for number in range(100)]
    (directory / "triggered").mkdir()
    with running_slapd(directory / "triggered" / "slapd", people) as slapd:

        async def work() -> list[float]:
            async with ScimServer() as app:
                firm = Firm(directory / "triggered", slapd, app)
                firm.tables = ""
                firm.job += "\ntriggers = { announced = true }"
                firm.configure()
                took = []
                async with Daemon(firm.directory) as daemon:
                    await daemon.event("source.heard")
                    await daemon.event("cycle.finished", kind="initial")
                    await daemon.event("cycle.finished", kind="incremental")
                    for number in range(10):
                        patched = Hanging(app, "PATCH", "/Users/", seconds=0.0)
                        began = time.perf_counter()
                        slapd.set(person(f"p{number}"), title="Chief")
                        await patched.arrived()
                        took.append(time.perf_counter() - began)
                        await daemon.event("cycle.finished")
                return took

        took = asyncio.run(work())
    return [
        ("from a change in slapd to the PATCH at the app, median", f"{statistics.median(took):.2f} s", "to reach: 2"),
        ("  the slowest of ten; 0.5 s of each is the debounce time", f"{max(took):.2f} s", "to reach: 2"),
    ]
