"""Has mutmut change the rooms that decide, a little at each place, and counts what their tests see of it."""

from __future__ import annotations

import ast
import difflib
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import monotonic

from tests.mutants.bugs import HERE, ROOT

SHARE_MIN = 0.90
"""So many of the mutants must be killed, or be no mutants at all: do the same."""
COPIED = ("reconciler", "tests", "docs", "pyproject.toml", "config.example.toml")
_FEW = "reconciler.core.limits.*"
"""What is tried to have all mutants made."""
SHOWN_SECONDS = 60.0
_STAMP = "made-from"
_KILLED = ("killed", "timeout", "segfault", "check was interrupted by user")
"""The last one is mutmut's word for tests that could not even be collected."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change that mutmut makes: `was` and `now` are what differs, as Python writes it."""

    function: str
    """Module and function, below reconciler."""
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.function}:\n  - {self.was}\n  + {self.now}"


class Drawn:
    """The mutants of one copy of the project, at a place where mutmut keeps what it knows of them."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def make(self) -> None:
        """Have all mutants made of the project as it is; what is known of them stays while nothing has changed."""
        now = _digest()
        stamp = self._place / _STAMP
        if stamp.exists() and stamp.read_text() == now:
            return
        shutil.rmtree(self._place, ignore_errors=True)
        self._place.mkdir(parents=True)
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
            copy(ROOT / name, self._place / name)
        self._run([_FEW], 1, "fork")
        stamp.write_text(now)

    def run(self, names: Sequence[str], children: int = 1) -> None:
        """Try these mutants, or all that were not tried yet where none is named; and who survives, once more.

        The first time mutants are tried in forks of a process that has imported everything, which is quick, and what
        runs at import is not mutated there. So the second time each is imported anew.
        """
        self._run(names, children, "fork")
        fates = self.fates()
        again = survivors({name: fates[name] for name in names or fates if fates[name] != "no tests"})
        if again:
            print(f"  {len(again)} survive in a fork; they are tried once more from the import on", flush=True)
            self._run(again, children, "forkserver")

    def _run(self, names: Sequence[str], children: int, isolation: str) -> None:
        settings = self._place / "pyproject.toml"
        settings.write_text(
            re.sub("(?m)^process_isolation = .*$", f'process_isolation = "{isolation}"', settings.read_text())
        )
        command = self._mutmut("run", "--max-children", str(children), *names)
        with subprocess.Popen(command, cwd=self._place, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            last = _only_now_and_then(process.stdout)
        if process.returncode != 0:
            raise subprocess.CalledProcessError(process.returncode, command[:5], "\n".join(last))

    def fates(self) -> dict[str, str]:
        """Return what became of every mutant, in mutmut's words."""
        done = subprocess.run(
            self._mutmut("results", "--all", "true"), cwd=self._place, check=True, capture_output=True, text=True
        )
        lines = [line.strip() for line in done.stdout.splitlines()]
        return {name: fate for name, _, fate in (line.rpartition(": ") for line in lines if ": " in line)}

    def shown(self, name: str) -> Mutant:
        """Return what a mutant changes."""
        module, _, function = name.rpartition(".")
        path = self._place / "mutants" / Path(*module.split(".")).with_suffix(".py")
        if not path.exists():
            path = path.with_suffix("") / "__init__.py"
        functions = _functions(path)
        original = f"{function.partition('__mutmut_')[0]}__mutmut_orig"
        was, now = (_lines(functions[one]) for one in (original, function))
        changed = [line for line in difflib.ndiff(was, now) if line[:2] in ("- ", "+ ")]
        place = re.sub("^x(_|ǁ)", "", function.partition("__mutmut_")[0]).replace("ǁ", ".")
        return Mutant(
            f"{module.removeprefix('reconciler.')}.{place}",
            " ".join(line[2:].strip() for line in changed if line[0] == "-"),
            " ".join(line[2:].strip() for line in changed if line[0] == "+"),
        )

    def _mutmut(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "mutmut", *words]


def _only_now_and_then(lines: Iterable[str]) -> Sequence[str]:
    """Show what mutmut says of its progress once a minute, and not ten times a second; return its last words."""
    last: deque[str] = deque(maxlen=40)
    shown_at = monotonic()
    for line in filter(None, map(str.strip, lines)):
        last.append(line)
        if monotonic() - shown_at >= SHOWN_SECONDS:
            shown_at = monotonic()
            print(f"  {line}", flush=True)
    return last


def sample(names: Iterable[str], size: int, seed: int) -> list[str]:
    """Return so many of the names, the same for the same seed wherever they come from."""
    return sorted(names, key=lambda name: hashlib.blake2b(f"{seed} {name}".encode()).digest())[:size]


@dataclass(frozen=True, slots=True)
class Equivalent:
    """A mutant that does the same as the original for whoever looks from outside."""

    function: str
    was: str
    now: str
    why: str

    @property
    def mutant(self) -> Mutant:
        return Mutant(self.function, self.was, self.now)


def equivalents() -> list[Equivalent]:
    rows = tomllib.loads((HERE / "equivalent.toml").read_text())["equivalent"]
    return [Equivalent(**row) for row in rows]


@dataclass(frozen=True, slots=True)
class Score:
    """What became of the mutants of one module, or of all."""

    killed: int
    equivalent: int
    survived: int
    untested: int
    """No test of these rooms runs the function at all."""

    @property
    def share(self) -> float:
        """The killed, of those that could be."""
        could = self.killed + self.survived + self.untested
        return self.killed / could if could else 1.0


def scores(fates: Mapping[str, str], same: Iterable[str]) -> dict[str, Score]:
    """Return the score of each module; `same` are the names of the equivalent ones."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    same = set(same)
    for name, fate in fates.items():
        word = "killed" if fate in _KILLED else "equivalent" if name in same else fate
        counts[name.rpartition(".")[0].removeprefix("reconciler.")][word] += 1
    return {module: _score(counts[module]) for module in sorted(counts)}


def total(by_module: Mapping[str, Score]) -> Score:
    def of(name: str) -> int:
        return sum(getattr(score, name) for score in by_module.values())

    return Score(of("killed"), of("equivalent"), of("survived"), of("untested"))


def _score(count: Counter[str]) -> Score:
    known = count["killed"], count["equivalent"], count["no tests"]
    return Score(known[0], known[1], count.total() - sum(known), known[2])


def survivors(fates: Mapping[str, str]) -> list[str]:
    return sorted(name for name, fate in fates.items() if fate not in _KILLED)


def _digest() -> str:
    """Return one number for everything that decides what becomes of a mutant."""
    files = [
        path for name in COPIED for path in ((ROOT / name).rglob("*") if (ROOT / name).is_dir() else [ROOT / name])
    ]
    of_each = {
        str(path.relative_to(ROOT)): hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file() and "__pycache__" not in path.parts
    }
    return hashlib.blake2b(json.dumps(of_each, sort_keys=True).encode()).hexdigest()


@cache
def _functions(path: Path) -> Mapping[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    found: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = node
    return found


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return the function as Python itself would write it, without its name."""
    text = ast.unparse(function)
    return text.replace(function.name, "_", 1).splitlines()
