"""A company whose people are in AlexisHR and whose accounts are in Entra ID."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from reconciler import config, wiring
from reconciler.commands.first_job import mapping_lines
from reconciler.config.conversion import mapping_of
from reconciler.core.model import AttributeMapping
from reconciler.ports import Diagnosis, LogQuery
from reconciler.runtime.cycle import run_cycle
from reconciler.runtime.ondemand import provision
from reconciler.runtime.provisioned import Provisioned
from reconciler.runtime.report import CycleReport
from tests import states
from tests.cycles.calendar import Calendar, NoLuck
from tests.servers.graph import CLIENT_ID, SECRET, TENANT, GraphServer

EMPTY = (
    *(
        "jobTitle",
        "companyName",
        "physicalDeliveryOfficeName",
        "department",
        "telephoneNumber",
        "manager",
        "employeeLeaveDateTime",
    ),
    *("streetAddress", "postalCode", "city", "country"),
)
"""What an employee need not have."""
KEPT = """
scope = "all"
[jobs.entra.deprovision]
gone = "keep"
inactive = "set"
set = [ { to = "employeeLeaveDateTime", expression = "UtcDateTime([employeeLeaveDateTime])" } ]
"""


class HumanResources:
    """Employees in a file, by the names that AlexisHR's shipped description gives their fields, and a state."""

    def __init__(self, directory: Path, graph: GraphServer) -> None:
        self.directory, self.graph = directory, graph
        self.employees: dict[str, dict[str, Any]] = {}
        self.job = KEPT
        self.target_lines = ""
        self.proof = 'client_secret = { file = "secret" }'
        """Who we are, for the tenant."""
        self.source = 'type = "file"\nusers = "employees.jsonl"\nallow_empty = ["users"]'
        self.tables = ""
        self.profile = "entra"
        self.clock = Calendar()
        self.dice = NoLuck()
        secret = directory / "secret"
        secret.touch(mode=0o600)
        secret.write_text(SECRET)

    def employee(self, id_: str, first: str, last: str, **more: Any) -> dict[str, Any]:
        """Take somebody on."""
        row = {
            "id": id_,
            "accountEnabled": True,
            "givenName": first,
            "surname": last,
            "mail": f"{first}.{last}@example.com".lower(),
            "employeeHireDate": "2026-01-15",
            **dict.fromkeys(EMPTY),
            **more,
        }
        self.employees[id_] = row
        return row

    def map_home_address(self) -> None:
        """Do what the page says of the home address: take away the comment signs of the optional mappings."""
        described = config.described_profile(self.profile, self.directory)
        self.map_also(*(mapping_of(one.mapping) for one in described.table.optional))

    def map_also(self, *more: AttributeMapping) -> None:
        """Map more attributes than the profile does."""
        described = config.described_profile(self.profile, self.directory)
        lines = "\n".join(mapping_lines((*described.profile.user_mappings, *more)))
        self.tables += f"\n[jobs.entra.users]\nattributes = [\n{lines}\n]\n"

    def configure(self) -> Path:
        """Write files and configuration; return the latter's path."""
        rows = b"".join(orjson.dumps(row) + b"\n" for row in self.employees.values())
        (self.directory / "employees.jsonl").write_bytes(rows)
        path = self.directory / "config.toml"
        path.write_text(
            f"""
[state]
url = "sqlite:///state.db"
[sources.hr]
{self.source}
[targets.entra]
type = "graph"
profile = "{self.profile}"
tenant = "{TENANT}"
client_id = "{CLIENT_ID}"
{self.proof}
url = "{self.graph.url}"
login_url = "{self.graph.origin}"
{self.target_lines}
[jobs.entra]
source = "hr"
target = "entra"
full_interval = "1000d"
{self.job}
{self.tables}
"""
        )
        return path

    async def cycle(self, *, full: bool = False) -> CycleReport:
        """Run one cycle as a fresh process would; the state begins as a copy of a new one."""
        loaded = config.load(self.configure())
        states.begin(self.directory / "state.db")
        async with wiring.open_house(loaded, write=True) as opened:
            house = replace(opened, clock=self.clock, dice=self.dice)
            async with house.world("entra") as world:
                return await run_cycle(house.plan("entra"), world, full=full)

    async def provision(self, *names: str) -> Provisioned:
        """Do what `reconciler provision entra NAME…` does."""
        loaded = config.load(self.configure())
        async with wiring.open_house(loaded, write=True) as opened:
            house = replace(opened, clock=self.clock, dice=self.dice)
            async with house.world("entra") as world:
                result = await provision(house.plan("entra"), world, names, dry_run=False, by="ann")
        assert isinstance(result, Provisioned), result
        return result

    async def test(self) -> Sequence[Diagnosis]:
        """Do what `reconciler test entra` does, of the target alone."""
        async with wiring.open_connections(config.load(self.configure()), "entra") as (_, target):
            return await target.test()

    async def log(self) -> list[dict[str, Any]]:
        async with wiring.open_house(config.load(self.configure()), write=False) as house:
            return [row async for row in house.store.log(LogQuery())]

    def account(self, name: str) -> dict[str, Any]:
        """Return the account of this user principal name, as the tenant keeps it."""
        return self.graph.tenant.user(name)
