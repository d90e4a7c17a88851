"""Files that mean harm: without line ends, without closing quotes, with columns beyond counting."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cycles.company import Company
from tests.hostile.peers import LISTED, Peer, says
from tests.hostile.test_targets import At
from tests.net.sockets import serving

HOLE_BYTES = 3 * 1024**3
"""A sparse file takes no disk; whoever reads its one line whole takes as much memory."""
COLUMNS = b"id,userPrincipalName,displayName,jobTitle,employeeId,accountEnabled"
ANN = b"ann,ann@example.com,Ann,Engineer,E-ann,true"
JSON = b'{"id":"ann","userPrincipalName":"ann@example.com","displayName":"Ann","jobTitle":"","employeeId":"1"'
JSON += b',"accountEnabled":true'
MANY = b",".join(b"c%d" % number for number in range(1_000_000))
DEEP = b',"x":' + b"[" * 5_000_000 + b"]" * 5_000_000
FILES = {
    "a line without end": ("users.csv", COLUMNS + b"\n" + ANN + b"\n", HOLE_BYTES, "line 3: is longer than 64 MiB"),
    "a line of JSON without end": ("users.jsonl", JSON + b"}\n", HOLE_BYTES, "line 2: is longer than 64 MiB"),
    "a header without end": ("users.csv", b"", HOLE_BYTES, "has a first line that is longer than 64 MiB"),
    "a quote without end": ("users.csv", COLUMNS + b'\n"' + b"x\n" * 9_000_000, 0, "line 2: has a quote"),
    "a million columns": ("users.csv", COLUMNS + b"," + MANY + b"\n" + ANN, 0, "has 6 cells"),
    "five million levels": ("users.jsonl", JSON + DEEP + b"}\n", 0, "line 1: is not valid JSON"),
}


@pytest.mark.parametrize(("name", "begin", "length", "words"), FILES.values(), ids=FILES.keys())
async def test_a_file_is_read_in_bounds_and_the_place_is_named(
    name: str, begin: bytes, length: int, words: str, tmp_path: Path
) -> None:
    peer = Peer(says(LISTED))
    async with serving(peer.talk) as port:
        company = Company(tmp_path, At(port))
        company.users_file = name
        company.configure()
        (tmp_path / "groups.jsonl").touch()
        written(tmp_path / name, begin, length)
        report = await company.cycle(write=False)
    assert report.state == "incomplete"
    assert any(problem.startswith(name) and words in problem for problem in report.problems), report.problems
    assert "disable" not in report.counts


def written(path: Path, begin: bytes, length: int) -> None:
    path.write_bytes(begin)
    if length:
        with path.open("r+b") as file:
            file.truncate(length)
