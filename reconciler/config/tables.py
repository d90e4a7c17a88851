"""The tables of the TOML around the jobs: state, mail, sources, targets, roles."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from reconciler.config.auth_tables import AuthTable
from reconciler.config.file_table import FileSourceTable
from reconciler.config.graph_tables import GraphSourceTable, GraphTargetTable
from reconciler.config.job_tables import Condition, JobTable
from reconciler.config.joined_table import JoinedSourceTable
from reconciler.config.ldap_table import LdapSourceTable
from reconciler.config.rest_table import RestSourceTable
from reconciler.config.rest_target_table import RestTargetTable
from reconciler.config.scim_table import ScimSourceTable
from reconciler.config.sql_table import SqlSourceTable
from reconciler.config.values import (
    DurationOrNever,
    MailAddress,
    MaxEntries,
    Name,
    Period,
    Scalar,
    SecretField,
    Table,
    Text,
    Who,
    refusal,
)


class StateTable(Table):
    """Where the state is kept."""

    url: Text | None = Field(
        default=None, description="sqlite:///FILE or postgresql://HOST/DATABASE. Default: state.db in $STATE_DIRECTORY."
    )
    password: SecretField | None = Field(default=None, description="The password of the PostgreSQL user in url.")


class ControlTable(Table):
    """How a running daemon is spoken to."""

    socket: Text | None = Field(
        default=None, description="The Unix socket. Default: control.sock in $RUNTIME_DIRECTORY."
    )
    group: Text | None = Field(default=None, description="The group that may open the socket, by name or number.")
    operators: list[Who] | None = Field(
        default=None, description="Who may do everything. Default: the socket's group. Root and the daemon always may."
    )
    readers: list[Who] = Field(default_factory=list, description="Who may look: users, or groups as group:NAME.")


class MetricsTable(Table):
    """Where metrics are served beside the control socket."""

    listen: Text | None = Field(
        default=None, description="The address and port of this machine, 127.0.0.1:9464. Default: none."
    )
    remote: bool = Field(
        default=False, description="Other machines may connect: listen need not be an address of this machine alone."
    )


class MailTable(Table):
    """The server that takes our mails."""

    host: Text = Field(description="The name of the SMTP server.")
    port: int = Field(default=587, ge=1, le=65535, description="Its port.")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the connection is protected."
    )
    from_: MailAddress = Field(alias="from", description="The sender of our mails.")
    username: Text | None = Field(default=None, description="The user name, where the server wants one.")
    password: SecretField | None = Field(default=None, description="The password that goes with username.")
    to: list[MailAddress] = Field(
        default_factory=list, description="Who gets the mails of jobs that name nobody in notify."
    )
    ca_file: Text | None = Field(default=None, description="Trust this certificate authority (PEM) and no other.")
    timeout: Period = Field(default="30s", description="How long each step with the server may take.")

    @model_validator(mode="after")
    def _both_or_neither(self) -> MailTable:
        if (self.username is None) != (self.password is None):
            raise refusal("username and password go together")
        return self


class LogTable(Table):
    """The provisioning log."""

    retention: DurationOrNever = Field(default="30d", description='How long its records are kept, or "never" dropped.')


SourceTable = Annotated[
    FileSourceTable
    | LdapSourceTable
    | SqlSourceTable
    | RestSourceTable
    | ScimSourceTable
    | GraphSourceTable
    | JoinedSourceTable,
    Field(discriminator="type"),
]


class ScimTargetTable(Table):
    """An app that speaks SCIM 2.0."""

    type: Literal["scim"]
    url: Text | None = Field(default=None, description="The base URL, without /Users. Default: the profile's.")
    profile: Text = Field(
        default="scim", description="What is special about the app: a shipped profile's name, or a file."
    )
    auth: AuthTable | None = Field(default=None, description="How requests are authorised.")
    concurrency: int = Field(default=16, ge=1, le=256, description="The most requests in flight at once.")
    requests_per_second: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="The most requests a second. Default: the profile's."
    )
    timeout: Period = Field(
        default="20s", description="How long one request may take; pages and groups three times as long."
    )
    max_entries: MaxEntries = None
    ca_file: Text | None = Field(default=None, description="Certificates (PEM) to trust instead of the system's.")
    client_cert: Text | None = Field(default=None, description="Our certificate (PEM), where the app wants one.")
    client_key: Text | None = Field(
        default=None, description="The key of client_cert, where it is in a file of its own."
    )
    proxy: Text | None = Field(default=None, description="The HTTP proxy, http://HOST:PORT.")
    protected: list[Text] = Field(
        default_factory=list, description="Accounts of the app that are never touched, by matching value or id."
    )
    patch: Literal["rfc", "entra", "put"] | None = Field(
        None,
        description="The form of changes: RFC 7644, Entra's legacy form, or whole resources. Default: the profile's.",
    )
    tenant: Text | None = Field(
        default=None, description="Whose accounts the token leads to, where one address serves every customer."
    )
    credential_expires: date | None = Field(
        default=None, description="When the token or certificate ends; a mail reminds of it."
    )

    @model_validator(mode="after")
    def _key_with_certificate(self) -> ScimTargetTable:
        if self.client_key is not None and self.client_cert is None:
            raise refusal("client_key goes with client_cert", "name client_cert too")
        return self


TargetTable = Annotated[ScimTargetTable | GraphTargetTable | RestTargetTable, Field(discriminator="type")]


class RoleTable(Table):
    """A re-usable role: who fulfils its condition has it."""

    when: Condition = Field(description="Who has the role.")
    value: Text | None = Field(default=None, description="What the app calls it. Default: the role's name.")


class LookupTableTable(Table):
    """A table that rules look values up in."""

    file: Text | None = Field(
        default=None,
        description="A .csv or .tsv file with a heading; or .toml: key = value, or a table for each key.",
    )
    key: Text | None = Field(default=None, description="The column of the keys. Default: the first.")
    entries: dict[str, Scalar] | None = Field(default=None, description="The entries themselves, in place of a file.")

    @model_validator(mode="after")
    def _one_place(self) -> LookupTableTable:
        if (self.file is None) == (self.entries is None):
            raise refusal("must have exactly one of file, entries")
        if self.key is not None and (self.file is None or self.file.endswith(".toml")):
            raise refusal("key goes with a .csv or .tsv file")
        return self


class ConfigTable(Table):
    """The whole configuration of reconciler."""

    include: list[Text] = Field(
        default_factory=list, description="More files, by patterns relative to this one; their tables are added."
    )
    state: StateTable = Field(default_factory=StateTable)
    control: ControlTable = Field(default_factory=ControlTable)
    metrics: MetricsTable = Field(default_factory=MetricsTable)
    mail: MailTable | None = None
    log: LogTable = Field(default_factory=LogTable)
    sources: dict[Name, SourceTable] = Field(default_factory=dict, description="The systems that are right, by name.")
    targets: dict[Name, TargetTable] = Field(default_factory=dict, description="The apps that follow, by name.")
    roles: dict[Text, RoleTable] = Field(default_factory=dict, description="Re-usable roles, by name.")
    tables: dict[Name, LookupTableTable] = Field(
        default_factory=dict, description="Tables that rules look values up in, by name."
    )
    jobs: dict[Name, JobTable] = Field(default_factory=dict, description="One source, one target, and rules, by name.")
