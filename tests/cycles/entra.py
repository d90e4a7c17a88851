"""A company whose people are in a tenant behind the double of Microsoft Graph."""

from __future__ import annotations

from pathlib import Path

from tests.cycles.company import ATTRIBUTES, GROUPS, MANAGER, Address, Company
from tests.servers.graph import CLIENT_ID, SECRET, TENANT, GraphServer
from tests.servers.graph_delta import app_role
from tests.sources.graph_tenant import Office

APP, APP_ID = "0aaaaaaa-0000-4000-8000-000000000001", "0aaaaaaa-0000-4000-8000-000000000002"
AGENT, CHIEF = app_role("agent", "Agent"), app_role("chief", "Chief")
NO_ROLE = "00000000-0000-0000-0000-000000000000"
LEADER = MANAGER.replace(" }", ', null = "clear" }')
ROLE = '{ to = "userType", expression = "SingleAppRoleAssignment([appRoleAssignments])", null = "clear" },'


class Tenant(Office):
    """The tenant, with an app that people are assigned to, and the company whose job reads it."""

    def __init__(self, directory: Path, graph: GraphServer, app: Address) -> None:
        super().__init__(graph)
        self.tenant.service_principals[APP] = {
            "id": APP,
            "appId": APP_ID,
            "displayName": "Phone",
            "appRoles": [AGENT, CHIEF],
        }
        self.company = Company(directory, app, attributes=ATTRIBUTES + LEADER + ROLE)
        self.company.job = f'scope = "assigned"\nservice_principal = "{APP_ID}"\ndeletion_share = "100%"'
        self.company.tables = GROUPS + "hold_deletes = false\n"
        self.sign_in(f'client_secret = {{ file = "{self.keep("secret", SECRET)}" }}')

    def sign_in(self, proof: str) -> None:
        """Let the source sign in like this from now on."""
        self.company.source = f"""
type = "graph"
tenant = "{TENANT}"
client_id = "{CLIENT_ID}"
{proof}
url = "{self.server.url}"
login_url = "{self.server.origin}"
"""

    def keep(self, name: str, content: str) -> str:
        """Write a file that nobody else may read; return its name."""
        path = self.company.directory / name
        path.touch(mode=0o600)
        path.write_text(content)
        return name

    def assign(self, who: str, role: str = NO_ROLE) -> None:
        """Assign a person or a team to the app."""
        self.tenant.assignments.append(
            {
                "id": f"{who}-{role}",
                "appRoleId": role,
                "principalDisplayName": who,
                "principalId": self.ids[who],
                "principalType": "Group" if self.ids[who] in self.tenant.groups else "User",
                "resourceId": APP,
            }
        )

    def unassign(self, who: str) -> None:
        self.tenant.assignments[:] = [one for one in self.tenant.assignments if one["principalId"] != self.ids[who]]
