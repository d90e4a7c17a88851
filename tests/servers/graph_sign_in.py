"""What the token endpoint before Microsoft Graph refuses, from its published documentation (client credentials)."""

from __future__ import annotations

from collections.abc import Callable

from tests.servers.graph_rules import Json

CLIENT_ID = "11111111-2222-3333-4444-555555555555"
TENANT = "example.onmicrosoft.com"


def mistrust(
    method: str, path: str, form: Json, secret: str, scope: str, assertion: Callable[[Json], str | None]
) -> tuple[int, Json] | None:
    """Return status and body of a refusal, None where a token is given.

    `assertion` says what is wrong with a signed statement that came in place of the secret.
    """
    if method != "POST" or path != f"/{TENANT}/oauth2/v2.0/token":
        return 400, {"error": "invalid_request", "error_description": "AADSTS90002: Tenant not found."}
    if form.get("grant_type") != "client_credentials":
        return 400, {"error": "unsupported_grant_type", "error_description": "AADSTS70003"}
    if form.get("client_id") != CLIENT_ID:
        return 400, {"error": "unauthorized_client", "error_description": "AADSTS700016"}
    if "client_assertion" in form:
        if (why := assertion(form)) is not None:
            return 401, {"error": "invalid_client", "error_description": why}
    elif form.get("client_secret") != secret:
        return 401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret."}
    if form.get("scope") != scope:
        return 400, {"error": "invalid_scope", "error_description": "AADSTS70011"}
    return None
