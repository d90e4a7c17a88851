"""A company whose people have phones by Aircall, in rules of the guide's own words."""

from __future__ import annotations

from pathlib import Path

from reconciler import config
from reconciler.commands.wording import status_lines
from reconciler.runtime.overview import job_overview
from tests.servers.aircall import Aircall
from tests.vendors.app import App

ANN, BOB, CLEO = "ann@example.com", "bob@example.com", "cleo@example.com"
CONFIRM = "users deleted from Aircall cannot be recovered"
ENGINEER = '{ attribute = "jobTitle", operator = "EQUALS", value = "Engineer" }'


class Office(App):
    """Files and a job whose rules a test writes in the words of the guide."""

    def __init__(self, directory: Path, aircall: Aircall) -> None:
        super().__init__(directory, aircall, "aircall")
        self.auth = '{ type = "basic", username = "api-id", password = { file = "token" } }'
        self.job = 'scope = "roles"\nroles = ["engineer"]'
        self.roles = {"engineer": ENGINEER}
        self.leavers = dict.fromkeys(("gone", "inactive", "role_lost", "out_of_scope"), "delete")
        self.confirm = f'confirm_delete = "{CONFIRM}"'
        self.teams = self.parts = ""
        """Tables: of the job's groups, and of sources that the job's source joins."""
        self.more = ""
        """Lines of [jobs.app.users]."""

    def configure(self) -> Path:
        roles = "".join(f"[roles.{name}]\nwhen = {when}\n" for name, when in self.roles.items())
        causes = "".join(f'{cause} = "{action}"\n' for cause, action in self.leavers.items())
        leaving = f"[jobs.app.deprovision]\n{causes}{self.confirm}\n"
        self.tables = f"{self.more}\n{leaving}{self.teams}{roles}{self.parts}"
        return super().configure()

    async def status(self) -> str:
        """Return what `reconciler status` says of the job."""
        async with self.opened(config.load(self.configure()), write=False) as house:
            shown = await job_overview(house.store, house.plan("app"))
        return "\n".join(status_lines({"daemon": None, "jobs": [shown]}, "2030-01-01T00:00:00.000Z"))


def emails(aircall: Aircall) -> list[str]:
    return sorted(str(one["email"]) for one in aircall.users.values())


def staffed(directory: Path, aircall: Aircall) -> Office:
    """Return an office with Ann, Bob and Cleo, engineers; Ann and Bob are in Crew."""
    made = Office(directory, aircall)
    made.employ("ann", "bob", "cleo")
    made.group("g1", ["ann", "bob"], "Crew")
    aircall.keep_time(made.clock.now)
    return made
