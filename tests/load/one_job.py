"""A whole job of so many people in this process: prints what its first cycle and a quiet one took, as a line of JSON.

    python -m tests.load.one_job USERS DIRECTORY

Source and target hold nobody: the one makes each person up when it is asked, the other answers by what it is sent. So
what grows is ours.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from reconciler import config, wiring
from reconciler.commands.running import run_async
from reconciler.core.model import Entry, Identity, Kind, SourceId
from reconciler.core.outcomes import Failed
from reconciler.ports import Diagnosis, EntryPage, ReadEnd, ReadEvent, Request, Response, Wanted, Watermark
from reconciler.runtime.cycle import run_cycle
from reconciler.runtime.report import CycleReport

PAGE = 1000
_CONFIG = """
[state]
url = "sqlite:///state.db"
[sources.staff]
type = "file"
users = "users.jsonl"
key = "id"
[targets.app]
type = "scim"
url = "https://app.example.com/scim/v2"
auth = { type = "bearer", token = { file = "token" } }
concurrency = 16
[jobs.app]
source = "staff"
target = "app"
scope = "all"
full_interval = "1000d"
[jobs.app.users]
attributes = [
  { to = "userName", from = "userPrincipalName", match = 1 },
  { to = "externalId", from = "id" },
  { to = "active", expression = "Not([IsSoftDeleted])" },
  { to = "displayName", from = "displayName" },
  { to = "name.givenName", from = "givenName" },
  { to = "name.familyName", from = "surname" },
  { to = 'emails[type eq "work"].value', from = "mail" },
  { to = "title", from = "jobTitle" },
]
"""
_LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
_HEADERS = {"content-type": "application/scim+json"}
_NOBODY = orjson.dumps({"schemas": [_LIST], "totalResults": 0, "startIndex": 1, "itemsPerPage": 0, "Resources": []})
_ABOUT_ITSELF = orjson.dumps({"patch": {"supported": True}, "filter": {"supported": True, "maxResults": 1000}})


class People:
    """So many people, page by page, in no order that an index would like."""

    identity = Identity("file", "made up", "id")
    incremental = False

    def __init__(self, count: int) -> None:
        self._count = count

    async def read(self, wanted: Wanted, since: str | None) -> AsyncIterator[ReadEvent]:
        for start in range(0, self._count, PAGE):
            yield EntryPage("user", [_person(number) for number in range(start, min(start + PAGE, self._count))])
        yield ReadEnd("user", complete=True)
        yield Watermark(None)

    async def fetch(self, kind: Kind, ids: Sequence[SourceId], wanted: Wanted) -> Mapping[SourceId, Entry | None]:
        return {}

    async def test(self, wanted: Wanted) -> list[Diagnosis]:
        return []

    async def close(self) -> None:
        """Nothing is open."""


def _person(number: int) -> Entry:
    id_ = blake2b(str(number).encode(), digest_size=16).hexdigest()
    attributes = {
        "id": id_,
        "userPrincipalName": f"user{number}@example.com",
        "displayName": f"Given{number} Family{number % 9973}",
        "givenName": f"Given{number}",
        "surname": f"Family{number % 9973}",
        "mail": f"user{number}@example.com",
        "jobTitle": "Engineer",
    }
    return Entry("user", SourceId(id_), attributes)


class App:
    """A SCIM target, at the port of the wire, that has nobody before it is sent them."""

    def __init__(self, **_: Any) -> None:
        self.requests = 0

    async def __call__(self, request: Request) -> Response | Failed:
        self.requests += 1
        if request.method == "GET":
            about_itself = urlsplit(request.url).path.endswith("/ServiceProviderConfig")
            return Response(200, _HEADERS, _ABOUT_ITSELF if about_itself else _NOBODY)
        assert request.method == "POST", "everybody is new, and nothing changes"
        row = orjson.loads(request.body or b"")
        return Response(201, _HEADERS, orjson.dumps({**row, "id": row["externalId"][::-1]}))

    async def aclose(self) -> None:
        """Nothing is open."""


async def _cycle(house: wiring.House, users: int) -> tuple[CycleReport, float]:
    """Run a cycle as the daemon does; return what it reports, and the peak of this process's memory in MiB."""
    async with house.world("app") as world:
        return await run_cycle(house.plan("app"), replace(world, source=People(users))), peak_mib()


def peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def forget_peak() -> None:
    """Let the peak of this process's memory begin where it is now (proc_pid_clear_refs(5))."""
    Path("/proc/self/clear_refs").write_text("5")


def founded(directory: Path) -> Path:
    """Write the configuration."""
    (directory / "users.jsonl").touch()
    (directory / "token").touch(mode=0o600)
    (directory / "token").write_text("token-of-the-app")
    (directory / "config.toml").write_text(_CONFIG)
    return directory / "config.toml"


def _bytes_of_state(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.glob("state.db*"))


async def measure(users: int, directory: Path) -> dict[str, Any]:
    # One opening of the state for both: what another one takes is not what people take.
    async with wiring.open_house(config.load(founded(directory)), write=True) as opened:
        house = replace(opened, connect=App)
        first, peak = await _cycle(house, users)
        assert (first.exit_code, first.counts["create"], first.users_read) == (0, users, users), first.as_dict()
        forget_peak()
        quiet, quiet_peak = await _cycle(house, users)
        assert (quiet.exit_code, quiet.users_read, sum(quiet.requests.values())) == (0, users, 0), quiet.as_dict()
    return {
        "users": users,
        "seconds": round(first.duration_seconds, 1),
        "mib": round(peak),
        "quiet_seconds": round(quiet.duration_seconds, 1),
        "quiet_mib": round(quiet_peak),
        "state_mib": round(_bytes_of_state(directory) / 2**20),
    }


if __name__ == "__main__":
    users, directory = int(sys.argv[1]), Path(sys.argv[2])
    print(orjson.dumps(run_async(lambda: measure(users, directory))).decode())
