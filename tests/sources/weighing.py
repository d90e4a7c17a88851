"""Runs a reading in a process of its own, and says how much memory it came to need."""

from __future__ import annotations

import subprocess
import sys

MEMORY_MAX_KIB = 150 * 1024
_PROGRAM_KIB, _EACH_BYTES = 60 * 1024, 200
# Not ru_maxrss: Linux starts it at the size of the process that forked, here the one that runs the tests.
_PEAK = """
from pathlib import Path as _Path
(_peak,) = (line.split()[1] for line in _Path("/proc/self/status").open() if line.startswith("VmHWM:"))
print(_peak)
"""


def memory_max_kib(people: int) -> int:
    """Return what reading so many may come to: the program, and less for each than keeping an entry takes."""
    return min(MEMORY_MAX_KIB, _PROGRAM_KIB + people * _EACH_BYTES // 1024)


def weighed(program: str, *arguments: object) -> list[int]:
    """Run a program in Python; return the numbers that it printed, and last its peak in KiB."""
    command = [sys.executable, "-c", program + _PEAK, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    numbers = list(map(int, done.stdout.split()))
    print(f"{numbers[-1] / 1024:.0f} MiB")  # for who measures: pytest -rP
    return numbers
