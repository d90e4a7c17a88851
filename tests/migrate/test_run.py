"""What an import made runs against a SCIM server that others wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson

from reconciler import config, wiring
from reconciler.migrate.findings import Findings
from reconciler.migrate.schema import import_schema
from reconciler.runtime.cycle import run_cycle
from reconciler.runtime.report import CycleReport
from tests.migrate.exported import schema
from tests.servers.real import RealScimServer


async def cycle(path: Path) -> CycleReport:
    async with wiring.open_house(config.load(path), write=True) as house, house.world("customappsso") as world:
        return await run_cycle(house.plan("customappsso"), world)


def person(number: int) -> dict[str, Any]:
    return {
        "objectId": f"u{number}",
        "userPrincipalName": f"user{number}@example.com",
        "mailNickname": f"user{number}",
        "displayName": f"Zoë {number}",
        "givenName": f"Zoë{number}",
        "surname": "Lee",
        "jobTitle": "Engineer",
        "department": "Sales" if number % 2 else "Development",
        "country": "CH",
        "telephoneNumber": f"+41 (31) 555-0{number}",
        "mail": f"user{number}@example.com",
        "city": "Bern",
        "employeeId": f"E{number}",
        "manager": "u1" if number > 1 else None,
        "level": 1,
    }


async def test_an_imported_schema_provisions_a_real_server(tmp_path: Path, real_scim_server: RealScimServer) -> None:
    made = import_schema(json.dumps(schema()).encode(), Findings())
    path = tmp_path / "config.toml"
    users = [person(number) for number in range(1, 13)]
    users[11]["userPrincipalName"] = "guest@elsewhere.example"
    names = {"extension_0a1b_" + name for name in ("costCenter", "middleName", "prefix", "suffix", "home")}
    columns = {name for row in users for name in row} | names | {"mobile", "facsimileTelephoneNumber", "state"}
    columns |= {"streetAddress", "postalCode", "physicalDeliveryOfficeName", "companyName"}
    (tmp_path / "users.jsonl").write_bytes(
        b"".join([orjson.dumps({**dict.fromkeys(columns), **row}) + b"\n" for row in users])
    )
    group = {"objectId": "g1", "displayName": "Staff", "members": ["u1", "u2"]}
    (tmp_path / "groups.jsonl").write_bytes(orjson.dumps(group) + b"\n")
    (tmp_path / "token").write_text(real_scim_server.token)
    (tmp_path / "token").chmod(0o600)
    path.write_text(
        made.replace("https://app.example.com/scim/v2", real_scim_server.url).replace(
            'env = "APP_TOKEN"', 'file = "token"'
        ),
        "utf-8",
    )
    first = await cycle(path)
    # eleven and the group: the twelfth passes none of the three filters
    assert (first.counts.get("create"), first.exit_code) == (12, 0), first.failures
    again = await cycle(path)
    assert (sum(again.requests.values()), again.exit_code) == (0, 0), again.failures
