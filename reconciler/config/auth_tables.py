"""The tables that say how requests are authorised."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reconciler.config.values import SecretField, Table, Text


class BearerTable(Table):
    """A token that goes with each request."""

    type: Literal["bearer"]
    token: SecretField = Field(description="The token.")


class BasicTable(Table):
    """A user name and a password that go with each request."""

    type: Literal["basic"]
    username: Text = Field(description="The user name.")
    password: SecretField = Field(description="The password.")


class OAuthTable(Table):
    """OAuth 2.0 client credentials: a token is fetched, and fetched again when it ends."""

    type: Literal["oauth2"]
    token_url: Text = Field(description="Where tokens are given out.")
    client_id: Text = Field(description="Who we are there.")
    client_secret: SecretField = Field(description="The secret that goes with client_id.")
    scope: Text | None = Field(default=None, description="The scopes that are asked for, with spaces between them.")
    client_auth: Literal["basic", "body"] = Field(
        default="basic",
        description="Whether client_id and client_secret go in the Authorization header or in the form.",
    )


AuthTable = Annotated[BearerTable | BasicTable | OAuthTable, Field(discriminator="type")]


class KeyTable(Table):
    """A key that goes with each request in a header of its own, or in the query."""

    type: Literal["header", "query"]
    name: Text = Field(description="The name of the header, or of the parameter.")
    key: SecretField = Field(description="The key.")
