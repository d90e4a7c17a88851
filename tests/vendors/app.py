"""A company that provisions one vendor's app by its profile, and the page that says how."""

from __future__ import annotations

from pathlib import Path

from reconciler import config
from reconciler.commands.first_job import mapping_lines
from reconciler.core.model import Kind
from reconciler.demo import organisation
from tests.cycles.company import Address, Company

DOCS = Path(__file__).parents[2] / "docs" / "vendors"


class App(Company):
    """Files, a job with a vendor's default mappings, and people who have what these mappings read."""

    def __init__(self, directory: Path, server: Address, profile: str) -> None:
        self.profile = config.load_profile(profile, directory)
        super().__init__(directory, server, attributes=self.mappings("user"))
        self.target_type = config.described_profile(profile, directory).table.protocol
        self.target_lines = f'profile = "{profile}"\n'

    def mappings(self, kind: Kind) -> str:
        """Return the profile's mappings as a job writes them."""
        known = self.profile.user_mappings if kind == "user" else self.profile.group_mappings
        return "\n".join(mapping_lines(known))

    @property
    def groups_table(self) -> str:
        return f"[jobs.app.groups]\nattributes = [\n{self.mappings('group')}\n]\n"

    def employ(self, *ids: str) -> None:
        """Take on people who have names and mail addresses."""
        for id_ in ids:
            self.person(id_, mail=f"{id_}@example.com", givenName=id_.capitalize(), surname="Example")

    def employ_everybody(self) -> None:
        """Take over the sample organisation: five hundred people in many scripts, and their groups."""
        people = organisation.people()
        for row in people:
            self.users[row["id"]] = {"manager": None, **row}
        for group in organisation.groups(people):
            self.groups[group["id"]] = group


def page(name: str) -> str:
    """Return a vendor's page, in one line."""
    return " ".join((DOCS / f"{name}.md").read_text("utf-8").split())
