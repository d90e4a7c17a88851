"""Which seeds are run: a fixed range, and those that once found something."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

ORDINARY = range(1, 301)
"""The seeds of every run of the tests."""
FOR_A_TENANT = range(1_000_000_001, 1_000_000_031)
"""Seeds of which each has a tenant behind Microsoft Graph as its app, as all have from the first on."""
FOUND = Path(__file__).with_name("seeds.txt")


def is_for_a_tenant(seed: int | str) -> bool:
    """Whether the app of a seed is a tenant behind Microsoft Graph: others had their stories before there was one."""
    return isinstance(seed, int) and seed >= FOR_A_TENANT.start


def found() -> list[int]:
    """Return the seeds that once failed."""
    lines = (line.partition("#")[0].strip() for line in FOUND.read_text().splitlines())
    return [int(line) for line in lines if line]


def keep(seed: int) -> None:
    """Write down a seed that failed."""
    if seed not in found():
        with FOUND.open("a") as file:
            file.write(f"{seed}\n")


def in_parts(seeds: Iterable[int], size: int) -> list[list[int]]:
    """Cut seeds into runs of this size."""
    every = list(dict.fromkeys(seeds))
    return [every[start : start + size] for start in range(0, len(every), size)]
