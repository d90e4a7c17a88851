"""The table of a source that is a directory."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from reconciler.config.active_table import Active
from reconciler.config.values import Period, SecretField, Table, Text, refusal
from reconciler.dialects import ldap_filter


def _filter(value: str) -> str:
    if problem := ldap_filter.problem_of(value):
        raise refusal(f"is no filter: {problem}", "for example (objectClass=inetOrgPerson)")
    return value


Filter = Annotated[Text, AfterValidator(_filter)]


class SimpleBindTable(Table):
    """A name and a password."""

    type: Literal["simple"]
    dn: Text = Field(description="Who we are there: a DN; in Active Directory also name@domain.")
    password: SecretField = Field(description="The password.")


class OtherBindTable(Table):
    """Who we are says the certificate or the process (external), a Kerberos ticket (gssapi), or nobody (anonymous)."""

    type: Literal["external", "gssapi", "anonymous"]


BindTable = Annotated[SimpleBindTable | OtherBindTable, Field(discriminator="type")]


class LdapSourceTable(Table):
    """People and groups in a directory that speaks LDAP."""

    type: Literal["ldap"]
    url: Text = Field(description="ldaps://HOST, ldap://HOST or ldapi://SOCKET, with a port where it is not the usual.")
    directory: Literal["generic", "active_directory"] = Field(
        default="generic", description="What kind of directory it is: decides the other defaults."
    )
    start_tls: bool = Field(default=False, description="Protect a connection to ldap:// before anything is said.")
    ca_file: Text | None = Field(default=None, description="Trust these certificates (PEM) and no others.")
    client_cert: Text | None = Field(default=None, description="Our certificate (PEM), for external.")
    client_key: Text | None = Field(default=None, description="The key of client_cert, where it is in another file.")
    bind: BindTable = Field(description="How we sign in.")
    base: Text = Field(description="Below which entry users and groups are.")
    users_base: Text | None = Field(default=None, description="Below which entry users are. Default: base.")
    groups_base: Text | None = Field(default=None, description="Below which entry groups are. Default: base.")
    users: Filter | None = Field(default=None, description="The filter of users.")
    groups: Filter | None = Field(default=None, description="The filter of groups.")
    anchor: Text | None = Field(
        default=None,
        description="The attribute that never changes. Default: entryUUID; Active Directory: objectGUID.",
    )
    group_name: Text = Field(default="cn", description="The attribute that rules call a group by.")
    members: Text = Field(default="member", description="The attribute that lists a group's members by DN.")
    nested: bool = Field(
        default=False, description="Let Active Directory itself follow groups in groups (its in-chain rule)."
    )
    references: list[Text] = Field(
        default_factory=lambda: ["manager", "secretary", "owner", "seeAlso"],
        description="The attributes that name other entries by DN; rules get their ids.",
    )
    multivalued: list[Text] = Field(
        default_factory=list, description="The attributes that are lists also where they have one value."
    )
    changes: Literal["auto", "search", "none"] = Field(
        default="auto",
        description="Ask for what changed in the best way that the directory has, by searching, or read all always.",
    )
    page_size: int = Field(default=1000, ge=1, le=1000, description="How many entries are asked for at once.")
    timeout: Period = Field(default="30s", description="How long each answer may take.")
    allow_empty: list[Literal["users", "groups", "members"]] = Field(
        default_factory=list, description="What there may be none of; that is otherwise an incomplete read."
    )
    person: Text | None = Field(
        default=None, description="The attribute that is the same for one human under a new anchor."
    )
    active: Active | None = Field(default=None, description="The attribute that says who is active.")

    @model_validator(mode="after")
    def _protected(self) -> LdapSourceTable:
        scheme = self.url.partition("://")[0]
        if scheme not in ("ldap", "ldaps", "ldapi"):
            raise refusal("url must begin with ldaps://, ldap:// or ldapi://")
        if self.start_tls and scheme != "ldap":
            raise refusal("start_tls goes with ldap://")
        if self.client_key is not None and self.client_cert is None:
            raise refusal("client_key goes with client_cert", "name client_cert too")
        if self.directory == "active_directory" and self.anchor not in (None, "objectGUID"):
            raise refusal("anchor is objectGUID in Active Directory", "leave it out; map another attribute by its name")
        if self.nested and self.directory != "active_directory":
            raise refusal(
                'nested goes with directory = "active_directory"', "jobs follow groups in groups: nested there"
            )
        return self
