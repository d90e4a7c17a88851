"""What a sound configuration becomes."""

# ruff: noqa: E501  # a row of a table stands on one line

from __future__ import annotations

import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from reconciler import config
from reconciler.config import BasicAuth, BearerAuth, FileSourceSettings, OAuthSettings, ScimTargetSettings
from reconciler.config.tables import ConfigTable
from reconciler.core.model import (
    Action,
    ActiveRule,
    AllOf,
    AnyOf,
    Apply,
    AssignedGroup,
    AssignedUser,
    AttributeMapping,
    Clause,
    Constant,
    Deprovision,
    DeprovisionAction,
    Direct,
    FromExpression,
    MemberOf,
    Negation,
    Operator,
    Role,
    SafeguardLimits,
    Scope,
    Untouched,
    WhenNull,
)
from reconciler.core.profile import PatchDialect
from reconciler.secrets import Secret
from tests.config.texts import JOB, SOUND

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def loaded(text: str, directory: Path) -> config.Config:
    path = directory / "config.toml"
    path.write_text(text, "utf-8")
    return config.load(path)


def target(text: str, directory: Path) -> ScimTargetSettings:
    found = loaded(f'[targets.a]\ntype = "scim"\n{text}\n', directory).targets["a"]
    assert isinstance(found, ScimTargetSettings)
    return found


def test_the_example_loads_as_it_says() -> None:
    example = config.load(EXAMPLE)
    here = EXAMPLE.parent
    assert example.state_url == f"sqlite:///{here}/state.db"
    assert example.control_socket == here / "control.sock"
    assert example.mail is not None
    assert (example.mail.sender, example.mail.security) == ("provisioning@example.com", "starttls")
    assert example.sources == {
        "staff": FileSourceSettings(
            name="staff",
            users=here / "users.jsonl",
            groups=here / "groups.jsonl",
            max_age_seconds=3 * 86400.0,
            active=ActiveRule("status", ("Active", "On leave")),
            person="employeeId",
        )
    }
    job = example.jobs["phone"]
    assert job.assigned == (AssignedGroup("APP-Phone"), AssignedUser("ann@example.com", "admin"))
    assert job.roles == (
        Role(
            "agent",
            AllOf(
                (
                    Clause("department", Operator.EQUALS, "Support"),
                    AnyOf(
                        (
                            Clause("jobTitle", Operator.REGEX_MATCH, "^(Senior )?Agent"),
                            MemberOf("Support", nested=True),
                        )
                    ),
                    Negation(Clause("employeeType", Operator.EQUALS, "Contractor")),
                )
            ),
            "Agent",
        ),
    )
    assert (job.scope, job.enabled, job.interval_seconds) == (Scope.ASSIGNED, False, 2400.0)
    assert (job.person, job.active, job.protected) == (
        "employeeId",
        ActiveRule("status", ("Active", "On leave")),
        ("admin@example.com",),
    )
    assert job.safeguards == SafeguardLimits(500, 0.1, 86400.0)
    assert job.users is not None
    assert job.groups is not None
    assert job.users.mappings[3] == AttributeMapping("displayName", FromExpression('Join(" ", [givenName], [surname])'))
    assert job.users.mappings[6] == AttributeMapping("name.familyName", Direct("surname"), default="-")
    assert job.users.mappings[7] == AttributeMapping("title", Direct("jobTitle"), when_null=WhenNull.CLEAR)
    assert job.users.mappings[8] == AttributeMapping("preferredLanguage", Constant("en"), apply=Apply.CREATE)
    assert job.users.mappings[9] == AttributeMapping("timezone", Untouched(), default="Europe/Berlin")
    assert job.groups.filter == Clause("displayName", Operator.INCLUDES, "Phone")
    assert example.jobs["wiki"].scope is Scope.ALL
    assert example.jobs["wiki"].groups is None


def test_the_example_says_everything_that_can_be_said() -> None:
    """Every key of the schema stands in it, if only behind a comment sign."""
    text = EXAMPLE.read_text("utf-8")
    written = {key for line in text.splitlines() for key in _keys(line)}
    missing = (
        _schema_keys() - written - {"auth", "state", "control", "mail", "sources", "targets", "roles", "tables", "jobs"}
    )
    assert missing - {"users", "groups", "deprovision", "triggers"} == set()


def _keys(line: str) -> list[str]:
    words = line.replace("#", " ").replace("{", " ").replace("[", " ").replace(",", " ").split()
    return [word for word, following in pairwise(words) if following == "="]


def _schema_keys() -> set[str]:
    schema = config.json_schema()
    return {key for table in (schema, *schema["$defs"].values()) for key in table.get("properties", ())}


def test_a_short_configuration_gets_the_defaults(tmp_path: Path) -> None:
    found = loaded(SOUND + JOB, tmp_path)
    job = found.jobs["phone"]
    assert (job.enabled, job.interval_seconds, job.nested, job.role_choice) == (True, 2400.0, False, "first")
    assert job.deprovision == Deprovision()
    assert job.safeguards == SafeguardLimits()
    assert (job.assigned, job.roles, job.notify, job.protected) == ((), (), (), ())
    assert (job.active, job.person, job.groups) == (None, None, None)
    assert found.targets["phone"] == ScimTargetSettings(
        name="phone",
        url="https://phone.example.com/scim",
        profile="scim",
        auth=BearerAuth(Secret("env", "PHONE_TOKEN", f"{tmp_path}/config.toml: [targets.phone] auth.token")),
    )
    assert found.mail is None


def test_without_attributes_the_mappings_are_the_profiles(tmp_path: Path) -> None:
    found = loaded(SOUND + JOB + "[jobs.phone.groups]\n", tmp_path)
    job, profile = found.jobs["phone"], found.profiles["phone"]
    assert job.users is not None
    assert job.groups is not None
    assert job.users.mappings == profile.user_mappings
    assert job.groups.mappings == profile.group_mappings
    assert job.users.actions == job.groups.actions == frozenset(Action)
    assert job.groups.members == "owned"


def test_paths_get_the_one_spelling_that_the_profile_knows(tmp_path: Path) -> None:
    mappings = (
        '{ to = "USERNAME", from = "a", match = 1 }, { to = "emails.^[type==\'work\'].value", from = "b" }, '
        f'{{ to = "{ENTERPRISE}:Manager", from = "c" }}, {{ to = "urn:example:2.0:User:x.y", from = "d" }}'
    )
    job = loaded(f"{SOUND}{JOB}[jobs.phone.users]\nattributes = [ {mappings} ]\n", tmp_path).jobs["phone"]
    assert job.users is not None
    assert [mapping.to for mapping in job.users.mappings] == [
        "userName",
        'emails[type eq "work"].value',
        f"{ENTERPRISE}:manager",
        "urn:example:2.0:User:x.y",
    ]


@pytest.mark.parametrize(
    ("written", "expected"),
    [('"a b"', "a b"), ("true", "True"), ("12", "12"), ("1.5", "1.5")],
)
def test_a_clause_compares_with_text(written: str, expected: str, tmp_path: Path) -> None:
    condition = f'{{ attribute = "a", operator = "EQUALS", value = {written} }}'
    job = loaded(f"{SOUND}{JOB}[jobs.phone.users]\nfilter = {condition}\n", tmp_path).jobs["phone"]
    assert job.users is not None
    assert job.users.filter == Clause("a", Operator.EQUALS, expected)


def test_a_regular_expression_may_have_named_groups_as_dotnet_writes_them(tmp_path: Path) -> None:
    condition = '{ attribute = "a", operator = "REGEX MATCH", value = "(?<year>[0-9]{4})" }'
    assert loaded(f"{SOUND}{JOB}[jobs.phone.users]\nfilter = {condition}\n", tmp_path).jobs


def test_deprovisioning_and_safeguards_as_written(tmp_path: Path) -> None:
    job = loaded(
        SOUND + JOB + 'deletion_threshold = 7\ndeletion_share = "2.5%"\nsafeguard_window = "2w"\ninterval = "1.5h"\n'
        '[jobs.phone.deprovision]\ngone = "delete"\nout_of_scope = "keep"\ndisable_after = "12h"\ndelete_after = "never"\n',
        tmp_path,
    ).jobs["phone"]
    assert job.safeguards == SafeguardLimits(7, 0.025, 14 * 86400.0)
    assert job.interval_seconds == 5400.0
    assert job.deprovision == Deprovision(
        gone=DeprovisionAction.DELETE,
        out_of_scope=DeprovisionAction.KEEP,
        disable_after_seconds=43200.0,
        delete_after_seconds=None,
    )


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("https://a.example/scim/", "https://a.example/scim"),
        ("https://a.example//", "https://a.example"),
        ("https://a.example/scim/v2?aadOptscim062020", "https://a.example/scim/v2?aadOptscim062020"),
        ("https://a.example/scim/?a=b&c", "https://a.example/scim?a=b&c"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/scim", "http://[::1]:8080/scim"),
    ],
)
def test_a_base_url_loses_its_last_slash_and_keeps_its_query(written: str, expected: str, tmp_path: Path) -> None:
    assert target(f'url = "{written}"', tmp_path).url == expected


def test_the_three_ways_to_sign_in(tmp_path: Path) -> None:
    url = 'url = "https://a.example"\n'
    where = f"{tmp_path}/config.toml: [targets.a] auth"
    bearer = target(url + 'auth = { type = "bearer", token = { file = "token" } }', tmp_path)
    assert bearer.auth == BearerAuth(Secret("file", f"{tmp_path}/token", f"{where}.token"))
    basic = target(url + 'auth = { type = "basic", username = "u", password = { credential = "p" } }', tmp_path)
    assert basic.auth == BasicAuth("u", Secret("credential", "p", f"{where}.password"))
    oauth = target(
        url + '[targets.a.auth]\ntype = "oauth2"\ntoken_url = "https://login.example/token"\nclient_id = "c"\n'
        'client_secret = { env = "S" }\nscope = "a b"\nclient_auth = "body"',
        tmp_path,
    )
    secret = Secret("env", "S", f"{where}.client_secret")
    assert oauth.auth == OAuthSettings("https://login.example/token", "c", secret, "a b", "body")


def test_a_targets_own_limits_and_dialect_win_over_the_profiles(tmp_path: Path) -> None:
    (tmp_path / "slow.toml").write_text(
        'name = "slow"\nextends = "scim"\nrequests_per_second = 2\npatch = "put"\n', "utf-8"
    )
    text = '[targets.{0}]\ntype = "scim"\nurl = "https://a.example"\nprofile = "slow.toml"\n'
    found = loaded(text.format("a") + text.format("b") + 'requests_per_second = 9.5\npatch = "entra"\n', tmp_path)
    a, b = found.targets["a"], found.targets["b"]
    assert isinstance(a, ScimTargetSettings)
    assert isinstance(b, ScimTargetSettings)
    assert (a.profile, a.requests_per_second, a.patch) == ("slow", 2.0, None)
    assert (b.requests_per_second, b.patch) == (9.5, PatchDialect.ENTRA)
    assert [found.profiles[name].patch for name in "ab"] == [PatchDialect.PUT, PatchDialect.ENTRA]


def test_state_and_socket_are_where_systemd_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/reconciler:/var/lib/other")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/reconciler")
    found = loaded(SOUND, tmp_path)
    assert found.state_url == "sqlite:////var/lib/reconciler/state.db"
    assert found.control_socket == Path("/run/reconciler/control.sock")


def test_state_and_socket_without_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    assert loaded("", tmp_path).state_url == f"sqlite:///{tmp_path}/state.db"
    assert loaded("", tmp_path).control_socket is None
    assert loaded('[state]\nurl = "sqlite:///a/b.db"\n', tmp_path).state_url == f"sqlite:///{tmp_path}/a/b.db"
    assert loaded('[state]\nurl = "sqlite:////a/b.db"\n', tmp_path).state_url == "sqlite:////a/b.db"
    found = loaded('[state]\nurl = "postgresql://r@db.example/x"\npassword = { env = "P" }\n', tmp_path)
    assert (found.state_url, found.state_password) == (
        "postgresql://r@db.example/x",
        Secret("env", "P", f"{tmp_path}/config.toml: [state] password"),
    )


def test_a_directory_may_be_called_like_a_pattern(tmp_path: Path) -> None:
    inside = tmp_path / "app[1]*"
    inside.mkdir()
    assert str(inside / "users.jsonl") in str(loaded(SOUND + JOB, inside).sources["staff"])


def test_included_files_add_their_tables_and_paths_stay_relative_to_the_main_file(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "phone.toml").write_text(f'{JOB}assignments = "phone.csv"\n', "utf-8")
    (tmp_path / "jobs" / "mail.toml").write_text('[mail]\nhost = "h"\nfrom = "a@example.com"\n', "utf-8")
    (tmp_path / "jobs" / "tables.toml").write_text('[tables.cities]\nentries = { BE = "Bern" }\n', "utf-8")
    (tmp_path / "phone.csv").write_text(
        '\ufeffKind,Principal,Role\r\nuser,ann,\r\n\r\ngroup,"b, c",admin\r\nuser,ann,\r\n', "utf-8"
    )
    included = 'include = ["jobs/*.toml", "more/*.toml"]\n'
    found = loaded(included + '[tables.countries]\nentries = { CH = "Switzerland" }\n' + SOUND, tmp_path)
    assert found.jobs["phone"].assigned == (AssignedUser("ann"), AssignedGroup("b, c", "admin"))
    assert found.mail is not None
    assert [str(warning) for warning in found.warnings if "include[" in str(warning)] == [
        f"{tmp_path}/config.toml: include[1]: no file fits this pattern"
    ]


def test_assignments_of_the_table_and_of_the_file_are_added(tmp_path: Path) -> None:
    (tmp_path / "phone.csv").write_text("kind,principal\ngroup,APP\nuser,bob\n", "utf-8")
    job = JOB.replace("all", "assigned") + 'assignments = "phone.csv"\nassigned = [ { group = "APP" } ]\n'
    assert loaded(SOUND + job, tmp_path).jobs["phone"].assigned == (AssignedGroup("APP"), AssignedUser("bob"))


WARNINGS: dict[str, tuple[str, list[str]]] = {
    "mails that nobody gets": (
        SOUND + '[mail]\nhost = "h"\nport = 465\nfrom = "a@example.com"\nca_file = "ca.pem"\n' + JOB,
        [
            "[mail] ca_file: the file is not there",
            '[mail] security: port 465 speaks TLS from the beginning (security = "tls")',
            "[jobs.phone] notify: nobody gets a mail when the job needs a person "
            "(name people in notify, or in [mail] to for all jobs)",
        ],
    ),
    "mails that nothing sends": (
        SOUND + JOB + 'notify = ["it@example.com"]\n',
        ["[jobs.phone] notify: nothing says how mails are sent: none will be (add [mail] with host and from)"],
    ),
    "files that cannot be looked at": (  # as in a directory that is closed to us; root may look into every one
        f'[mail]\nhost = "h"\nfrom = "a@example.com"\nto = ["b@example.com"]\nca_file = "{"a " * 200}.pem"\n'
        f'username = "a"\npassword = {{ file = "{"a " * 200}" }}\n'
        f'[sources.a]\ntype = "sql"\nurl = "sqlite:///{"a" * 300}.db"\nusers = "SELECT 1"\n',
        [
            "[mail] ca_file: the file cannot be read: File name too long",
            f"[mail] password: the file {'a ' * 200} cannot be read: File name too long",
            "[sources.a] url: the file cannot be read: File name too long",
        ],
    ),
    "what travels unprotected": (
        '[targets.a]\ntype = "scim"\nurl = "http://a.example"\n[targets.b]\ntype = "scim"\nurl = "http://127.0.0.1:1"\n',
        [
            "[targets.a] url: http: people's data and the token travel unprotected (use https)",
            "[targets.a] auth: nothing is said about authorisation: requests go without any",
        ],
    ),
    "a job that has nobody": (
        SOUND + '[jobs.a]\nsource = "staff"\ntarget = "phone"\n',
        ['[jobs.a] assigned: scope = "assigned" and nobody is assigned: the job has nobody in scope'],
    ),
    "groups that nobody reads": (
        SOUND.replace('groups = "groups.jsonl"', "")
        + JOB.replace("all", "assigned")
        + 'assigned = [ { group = "APP" } ]\n[jobs.phone.groups]\n',
        [
            "[jobs.phone]: asks who is in a group, and the source reads no groups: nobody's answer is known (name groups in [sources.staff])",
            "[jobs.phone.groups]: the source reads no groups (name groups in [sources.staff])",
        ],
    ),
    "leavers that nothing disables": (
        SOUND + JOB + '[jobs.phone.users]\nattributes = [ { to = "userName", from = "a", match = 1 } ]\n',
        [
            "[jobs.phone.users] attributes: nothing is mapped to active: leavers are not disabled "
            '({ to = "active", expression = "Not([IsSoftDeleted])" })'
        ],
    ),
    "an attribute that looks like a slip": (
        SOUND + JOB + '[jobs.phone.users]\nattributes = [ { to = "userName", from = "a", match = 1 }, '
        '{ to = "active", from = "b" }, { to = "preferedLanguage", from = "c" }, { to = "costCode", from = "d" }, '
        '{ to = "titel", from = "e" }, { to = "name.givnName", from = "f" }, '
        '{ to = "urn:ietf:params:scim:schemas:extension:phone:2.0:User:departmant", from = "g" } ]\n',
        [
            f"[jobs.phone.users] attributes[{position}].to: the profile does not know this attribute (did you mean '{name}'?)"
            for position, name in ((2, "preferredLanguage"), (4, "title"), (5, "name.givenName"))
        ],
    ),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_what_is_doubtful_is_a_warning(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHONE_TOKEN", "t")
    text, expected = WARNINGS[case]
    warnings = loaded(text, tmp_path).warnings
    found = [str(one).replace(f"{tmp_path}/config.toml: ", "").replace(f"{tmp_path}/", "") for one in warnings]
    assert found == expected


def test_the_contract_as_designed_loads(tmp_path: Path) -> None:
    """The shipped names and the example of the architecture stay usable."""
    (tmp_path / "phone.csv").write_text("kind,principal,role\nuser,ann,\n", "utf-8")
    for profile in ("acall", "dialpad", "sightcall"):
        found = loaded(SOUND.replace('"scim"', f'"scim"\nprofile = "{profile}"') + JOB, tmp_path)
        assert found.profiles["phone"].name == profile
        assert not any("not yet available" in warning.problem for warning in found.warnings)


def test_the_schema_and_the_loader_know_the_same_tables() -> None:
    def knows(schema: dict[str, Any], node: dict[str, Any], keys: dict[str, Any]) -> bool:
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
        return set(keys) <= set(node["properties"])

    schema = config.json_schema()
    example = tomllib.loads(EXAMPLE.read_text("utf-8"))
    assert knows(schema, schema, example)
    assert knows(schema, schema["properties"]["jobs"]["additionalProperties"], example["jobs"]["phone"])
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["JobTable"]["additionalProperties"] is False
    assert set(ConfigTable.model_fields) == set(schema["properties"])
