"""Profiles: what is special about an app, as data."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler import config, vendors
from reconciler.core.model import AttributeMapping, Direct, FromExpression
from reconciler.core.paths import canonical
from reconciler.core.profile import PatchDialect, TargetAttribute, ValueType
from reconciler.errors import ConfigError

MANAGER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager"


def problems_of(directory: Path, **files: str) -> list[str]:
    for name, text in files.items():
        (directory / f"{name}.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigError) as error:
        config.load_profile("own.toml", directory)
    return [str(problem).replace(f"{directory}/", "") for problem in error.value.problems]


@pytest.mark.parametrize("name", vendors.names())
def test_each_shipped_profile_is_sound(name: str) -> None:
    profile = config.load_profile(name, Path("/nowhere"))
    assert profile.name == name
    for kind, mappings in (("user", profile.user_mappings), ("group", profile.group_mappings)):
        assert any(mapping.match == 1 for mapping in mappings), kind
        assert all(mapping.to == canonical(mapping.to) for mapping in mappings)
    assert all(path == known.path == canonical(path) for path, known in profile.user_attributes.items())


def test_each_shipped_profile_gives_a_job_that_passes_check(tmp_path: Path) -> None:
    for name in vendors.names():
        protocol = config.described_profile(name, tmp_path).table.protocol
        sign_in = 'tenant = "t"\nclient_id = "c"\nclient_secret = { env = "S" }\n' if protocol == "graph" else ""
        (tmp_path / "config.toml").write_text(
            f'[sources.s]\ntype = "file"\nusers = "u.csv"\ngroups = "g.csv"\n[targets.t]\ntype = "{protocol}"\n'
            f'{sign_in}url = "https://t.example"\nprofile = "{name}"\n'
            '[jobs.j]\nsource = "s"\ntarget = "t"\nscope = "all"\n[jobs.j.groups]\n',
            "utf-8",
        )
        assert config.load(tmp_path / "config.toml").jobs["j"].users is not None


def test_the_generic_profile_knows_the_types_of_rfc_7643() -> None:
    profile = config.load_profile("scim", Path("/nowhere"))
    users, groups = profile.user_attributes, profile.group_attributes
    assert users["active"].type is ValueType.BOOLEAN
    assert (users["userName"].required, users["userName"].case_exact) == (True, False)
    assert users["externalId"].case_exact
    assert (users["id"].case_exact, users["id"].read_only) == (True, True)
    assert users[MANAGER] == TargetAttribute(MANAGER, ValueType.REFERENCE, case_exact=True, references="user")
    assert groups["members"].type is ValueType.REFERENCE
    assert groups["members"].multivalued
    assert groups["displayName"].required
    assert (profile.patch, profile.members_per_request) == (PatchDialect.RFC, 100)


def test_the_generic_mappings_are_those_that_entra_begins_with() -> None:
    profile = config.load_profile("scim", Path("/nowhere"))
    by_path = {mapping.to: mapping for mapping in profile.user_mappings}
    assert by_path["userName"] == AttributeMapping("userName", Direct("userPrincipalName"), match=1)
    assert by_path["active"].source == FromExpression("Not([IsSoftDeleted])")
    assert by_path[MANAGER].source == Direct("manager")
    assert [(mapping.to, mapping.source) for mapping in profile.group_mappings] == [
        ("displayName", Direct("displayName")),
        ("externalId", Direct("id")),
        ("members", Direct("members")),
    ]


def test_a_profile_of_ones_own_changes_just_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "middle.toml").write_text('extends = "scim"\npage_size = 50\n[hints]\nforbidden = "ask Bob"\n', "utf-8")
    (tmp_path / "own.toml").write_text(
        'name = "own"\nextends = "middle.toml"\ncan_delete = false\n[users.define]\nTitle = { allowed = ["A", "B"] }\n'
        'active = { type = "String" }\n[groups]\nattributes = [ { to = "displayName", from = "name", match = 1 } ]\n',
        "utf-8",
    )
    own, generic = config.load_profile("own.toml", tmp_path), config.load_profile("scim", tmp_path)
    assert (own.name, own.page_size, own.can_delete, own.members_per_request) == ("own", 50, False, 100)
    assert own.hints == {**generic.hints, "forbidden": "ask Bob"}
    assert own.user_attributes["active"] == TargetAttribute("active")
    assert own.user_attributes["userName"] == generic.user_attributes["userName"]
    assert own.user_mappings == generic.user_mappings
    assert own.group_mappings == (AttributeMapping("displayName", Direct("name"), match=1),)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, ["own.toml: cannot be read: No such file or directory"]),
        ({"own": "name = "}, ["own.toml: is no valid TOML: Invalid value (at end of document)"]),
        (
            {"own": 'extends = "scmi"'},
            ["scmi: unknown profile (known: acall, aircall, dialpad, entra, graph, scim, sightcall)"],
        ),
        ({"own": "extends = 1"}, ["own.toml: extends: must be a string (the name of a profile, or a path)"]),
        (
            {"own": 'extends = "b.toml"', "b": 'extends = "own.toml"'},
            ["own.toml: extends itself (a profile extends another one)"],
        ),
        (
            {"own": 'page_sise = 1\npatch = "pacth"\n[users.define]\na = { type = "Bool" }\n"a[" = {}\n'},
            [
                "own.toml: name: is missing",
                "own.toml: patch: must be one of rfc, entra, put",
                "own.toml: users.define.a.type: must be one of String, Boolean, Integer, Decimal, DateTime, Binary, "
                "Reference, Complex (did you mean 'Boolean'?)",
                'own.toml: users.define."a[": is no attribute path: an attribute name is missing (at character 3) '
                '(for example name.givenName, emails[type eq "work"].value)',
                "own.toml: page_sise: unknown key (did you mean 'page_size'?)",
            ],
        ),
    ],
)
def test_what_is_wrong_with_a_profile_is_said(files: dict[str, str], expected: list[str], tmp_path: Path) -> None:
    found = problems_of(tmp_path, **files)
    assert found == expected


def test_the_problems_of_a_profile_are_problems_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('name = "own"\npage_size = 0\n', "utf-8")
    (tmp_path / "config.toml").write_text(
        '[targets.t]\ntype = "scim"\nurl = "https://t.example"\nprofile = "own.toml"\nconcurrency = 0\n', "utf-8"
    )
    with pytest.raises(ConfigError) as error:
        config.load(tmp_path / "config.toml")
    assert [str(problem).replace(f"{tmp_path}/", "") for problem in error.value.problems] == [
        "config.toml: [targets.t] concurrency: must be at least 1",
        "own.toml: page_size: must be at least 1",
    ]
