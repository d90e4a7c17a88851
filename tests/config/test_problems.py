"""What is wrong with a configuration: all of it, each with its place and what to do, and no secret in any of it."""

# ruff: noqa: E501  # a row of a table stands on one line

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler import config
from reconciler.errors import ConfigError
from tests.config.texts import JOB, SOUND

MAPPINGS = '{ to = "userName", from = "userPrincipalName", match = 1 }, { to = "active", from = "accountEnabled" },'


def problems_of(text: str, directory: Path) -> list[str]:
    """Return each problem as `place | problem | hint`, the file's directory left out."""
    path = directory / "config.toml"
    path.write_text(text, "utf-8")
    try:
        config.load(path)
    except ConfigError as error:
        found = [f"{problem.where} | {problem.problem} | {problem.hint}" for problem in error.problems]
        return [line.replace(f"{directory}/", "").removeprefix("config.toml: ") for line in found]
    return []


def users(*mappings: str) -> str:
    return f"{SOUND}{JOB}[jobs.phone.users]\nattributes = [ {MAPPINGS} {', '.join(mappings)} ]\n"


def filtered(condition: str) -> str:
    return f"{SOUND}{JOB}[jobs.phone.users]\nfilter = {condition}\n"


PLAIN = "a secret must not stand in the configuration"
PLACES = 'write { env = "NAME" }, { file = "path" } or { credential = "name" }'
SCALARS = "must be a string, a number, a boolean or a list of these"

WRONG: dict[str, tuple[str, list[str]]] = {
    "a key with a slip of the finger": (
        SOUND.replace('users = "users', 'uesrs = "users') + "[stat]\n",
        ["[sources.staff] uesrs | unknown key | did you mean 'users'?", "stat | unknown key | did you mean 'state'?"],
    ),
    "names that lead nowhere": (
        SOUND
        + '[jobs.phone]\nsource = "staf"\ntarget = "phnoe"\nscope = "roles"\nroles = ["agnet", "agent", "agent"]\n',
        [
            "[jobs.phone] source | unknown source 'staf' | did you mean 'staff'?",
            "[jobs.phone] target | unknown target 'phnoe' | did you mean 'phone'?",
            "[jobs.phone] roles[0] | unknown role 'agnet' | did you mean 'agent'?",
            "[jobs.phone] roles[2] | the role 'agent' is named twice | ",
        ],
    ),
    "what only the mapper finds": (
        users(
            '{ to = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", from = "manager", default = "x" }'
        ),
        [
            "[jobs.phone.users] attributes[2] | urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager: a reference cannot have a default | "
        ],
    ),
    "a name that is nothing like any": (
        SOUND + '[jobs.phone]\nsource = "xyz"\ntarget = "phone"\nscope = "all"\n',
        ["[jobs.phone] source | unknown source 'xyz' | known: staff"],
    ),
    "what is needed and not there": (
        '[sources.a]\n[targets.b]\ntype = "scim"\n[jobs.c]\nsource = "a"\n[roles.d]\n[mail]\nhost = "h"\n',
        [
            "[sources.a] type | is missing | known: alexishr, file, graph, joined, ldap, okta, rest, scim, sql",
            '[targets.b] url | is missing | for example "https://app.example.com/scim"',
            "[jobs.c] target | is missing | ",
            "[roles.d] when | is missing | ",
            "[mail] from | is missing | ",
        ],
    ),
    "a type that does not exist": (
        '[sources.a]\ntype = "fil"\n[targets.b]\ntype = "scimm"\n[targets.c]\ntype = "scim"\n'
        'url = "https://c.example"\nauth = { type = "oauth", token = { env = "T" } }\n',
        [
            "[sources.a] type | unknown type | did you mean 'file'?",
            "[targets.b] type | unknown type | did you mean 'scim'?",
            "[targets.c] auth.type | unknown type | did you mean 'oauth2'?",
        ],
    ),
    "values of the wrong type": (
        SOUND.replace('type = "scim"', 'type = "scim"\nconcurrency = "many"\ntimeout = 60\nprotected = "admin"')
        + '[jobs.phone]\nsource = "staff"\ntarget = "phone"\nscope = "all"\nenabled = "yes"\ninterval = 40\n'
        "deletion_threshold = -1\nusers = 3\n",
        [
            "[targets.phone] concurrency | must be a whole number | ",
            '[targets.phone] timeout | must be a string | for example "90s"',
            "[targets.phone] protected | must be a list | in brackets: [ … ]",
            "[jobs.phone] enabled | must be true or false | ",
            '[jobs.phone] interval | must be a string | for example "90s"',
            "[jobs.phone] deletion_threshold | must be at least 0 | ",
            "[jobs.phone.users] | must be a table | ",
        ],
    ),
    "durations and shares": (
        SOUND + JOB + 'interval = "0m"\nsafeguard_window = "1 day"\ndeletion_share = "110%"\n'
        '[jobs.phone.deprovision]\ndisable_after = "never"\ndelete_after = "soon"\n',
        [
            '[jobs.phone] interval | must be longer than nothing | for example "40m"',
            '[jobs.phone] safeguard_window | is no duration | write a number and one of s, m, h, d, w: "40m", "3d"',
            '[jobs.phone] deletion_share | is no percentage | write it as "10%", from "0%" to "100%"',
            '[jobs.phone.deprovision] disable_after | is no duration | write a number and one of s, m, h, d, w: "40m", "3d"',
            "[jobs.phone.deprovision] delete_after | is no duration | "
            'write a number and one of s, m, h, d, w: "30d"; or "never"',
        ],
    ),
    "durations that outlive everybody": (
        SOUND + JOB + 'interval = "9999999d"\n[jobs.phone.deprovision]\ndelete_after = "6000w"\n',
        [
            '[jobs.phone] interval | is longer than a hundred years | the longest is "36500d"',
            '[jobs.phone.deprovision] delete_after | is longer than a hundred years | the longest is "36500d"; or "never"',
        ],
    ),
    "a choice that is none": (
        SOUND + '[jobs.phone]\nsource = "staff"\ntarget = "phone"\nscope = "al"\nrole_choice = "last"\n'
        '[jobs.phone.deprovision]\ngone = "disabel"\ninactive = "set"\n[jobs.phone.users]\nactions = ["create", "udpate"]\n'
        '[jobs.phone.groups]\nmembers = "exakt"\n',
        [
            "[jobs.phone] scope | must be one of all, assigned, roles | did you mean 'all'?",
            "[jobs.phone] role_choice | must be one of first, all | ",
            "[jobs.phone.deprovision] gone | must be one of disable, delete, keep, set | did you mean 'disable'?",
            "[jobs.phone.users] actions[1] | must be one of create, update, delete | did you mean 'update'?",
            "[jobs.phone.groups] members | must be one of owned, exact | did you mean 'exact'?",
        ],
    ),
    "a key that belongs one table further up": (
        SOUND + JOB + "[jobs.phone.users]\nservice_principal = 1\n",
        ["[jobs.phone.users] service_principal | unknown key | known: actions, attributes, define, filter, sign_in"],
    ),
    "names that are none": (
        '[sources."a b"]\ntype = "file"\nusers = "u.csv"\n[targets."-x"]\ntype = "scim"\nurl = "https://x.example"\n',
        [
            '[sources."a b"] | is no usable name | letters, digits, dots, dashes and underscores, at most 64',
            "[targets.-x] | is no usable name | letters, digits, dots, dashes and underscores, at most 64",
        ],
    ),
    "a file source without a file, and one of no format": (
        '[sources.a]\ntype = "file"\n[sources.b]\ntype = "file"\nusers = "people.xlsx"\nallow_empty = ["people"]\n',
        [
            "[sources.a] | names no file | name users, groups or both, or changes",
            "[sources.b] users | the file's suffix says nothing of its format | one of .jsonl, .json, .csv, .tsv",
            "[sources.b] allow_empty[0] | must be one of users, groups | ",
        ],
    ),
    "a list of a described system that may be empty, and that it has not": (
        '[sources.a]\ntype = "alexishr"\nauth = { type = "bearer", token = { env = "T" } }\n'
        'allow_empty = ["users", "employments", "employment"]\n',
        ["[sources.a] allow_empty[2] | must be one of users, groups, members, department, office, employments | "],
    ),
    "addresses": (
        '[targets.a]\ntype = "scim"\nurl = "ftp://a.example"\n[targets.b]\ntype = "scim"\nurl = "https://b.example/scim/Users/"\n'
        '[targets.c]\ntype = "scim"\nurl = "https://[c"\n[targets.d]\ntype = "scim"\nurl = "https://d.example/#x"\n'
        '[targets.e]\ntype = "scim"\nurl = "e.example"\n',
        [
            "[targets.a] url | is no address of the web | for example https://app.example.com/scim",
            "[targets.b] url | is the address of users or groups | leave out its last part",
            "[targets.c] url | is no address of the web | for example https://app.example.com/scim",
            "[targets.d] url | must not have a # part | ",
            "[targets.e] url | is no address of the web | for example https://app.example.com/scim",
        ],
    ),
    "the state": (
        '[state]\nurl = "mysql://db.example/x"\n',
        ["[state] url | must begin with sqlite:/// or postgresql:// | "],
    ),
    "a state that would be forgotten": (
        '[state]\nurl = "sqlite://"\npassword = { env = "P" }\n',
        [
            "[state] url | names no file | for example sqlite:///state.db; a state in memory would be forgotten",
            "[state] password | goes with a postgresql:// url | ",
        ],
    ),
    "pairs of which one is missing": (
        '[mail]\nhost = "h"\nfrom = "a@example.com"\nusername = "u"\n'
        '[targets.a]\ntype = "scim"\nurl = "https://a.example"\nclient_key = "k.pem"\n',
        [
            "[mail] | username and password go together | ",
            "[targets.a] | client_key goes with client_cert | name client_cert too",
        ],
    ),
    "mail addresses that could carry headers": (
        SOUND + JOB + 'notify = ["it@example.com\\nBcc: x@example.com", "it"]\n',
        ["[jobs.phone] notify[0] | is no mail address | ", "[jobs.phone] notify[1] | is no mail address | "],
    ),
    "assignments": (
        SOUND
        + JOB.replace("all", "assigned")
        + 'assigned = [ { user = "a", group = "b" }, { role = "c" }, { user = "" } ]\n',
        [
            "[jobs.phone] assigned[0] | must name exactly one of user, group | ",
            "[jobs.phone] assigned[1] | must name exactly one of user, group | ",
            "[jobs.phone] assigned[2].user | must not be empty | ",
        ],
    ),
    "roles as scope without any": (
        SOUND + JOB.replace("all", "roles"),
        ['[jobs.phone] scope | scope = "roles" without any role | name some in roles'],
    ),
    "a profile that nobody ships": (
        SOUND.replace('type = "scim"', 'type = "scim"\nprofile = "dialpda"') + JOB,
        ["[targets.phone] profile | unknown profile 'dialpda' | did you mean 'dialpad'?"],
    ),
    "paths that are none": (
        users('{ to = "emails[type", from = "mail" }', '{ to = "", from = "x" }'),
        [
            '[jobs.phone.users] attributes[2].to | is no attribute path: a filter in a path compares with eq, as in [type eq "work"] '
            '(at character 12) | for example name.givenName, emails[type eq "work"].value',
            "[jobs.phone.users] attributes[3].to | is no attribute path: the path is empty (at character 1) | "
            'for example name.givenName, emails[type eq "work"].value',
        ],
    ),
    "mappings that say too much or nothing": (
        users(
            '{ to = "title", from = "a", constant = "b" }',
            '{ to = "nickName" }',
            '{ to = "locale", constant = 2020-01-01 }',
        ),
        [
            "[jobs.phone.users] attributes[2] | has more than one of from, constant, expression | ",
            "[jobs.phone.users] attributes[3] | says nothing to write | name from, constant, expression, or a default alone",
            f"[jobs.phone.users] attributes[4].constant | {SCALARS} | ",
        ],
    ),
    "an expression that cannot be read": (
        users('{ to = "title", expression = "Joi([a])" }'),
        ["[jobs.phone.users] attributes[2].expression | unknown function Joi at character 1 | did you mean Join?"],
    ),
    "what only the app sets": (
        users('{ to = "id", from = "id" }', '{ to = "meta.created", from = "a" }', '{ to = "groups", from = "b" }'),
        [
            "[jobs.phone.users] attributes[2].to | only the app sets id | leave this mapping out",
            "[jobs.phone.users] attributes[3].to | only the app sets meta | leave this mapping out",
            "[jobs.phone.users] attributes[4].to | only the app sets groups | leave this mapping out",
        ],
    ),
    "an attribute mapped twice, whatever its case, and one above its parts": (
        users(
            '{ to = "USERNAME", from = "mail" }', '{ to = "name", from = "a" }', '{ to = "name.givenName", from = "b" }'
        ),
        [
            "[jobs.phone.users] attributes[2].to | is mapped twice, first in attributes[0] | ",
            "[jobs.phone.users] attributes[4].to | cannot be written together with name of attributes[3] | "
            "map to the whole or to its parts",
        ],
    ),
    "a part of a reference": (
        users(
            '{ to = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value", from = "manager" }',
        ),
        [
            "[jobs.phone.users] attributes[2].to | is a part of a reference | "
            "map to urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager itself",
        ],
    ),
    "matching that cannot find anybody": (
        users(
            '{ to = "title", from = "jobTitle", match = 1 }',
            '{ to = "nickName", expression = "Guid()", match = 2 }',
            '{ to = "locale", constant = "en", match = 3 }',
            '{ to = "roles", from = "appRoleAssignments", match = 4 }',
            '{ to = "timezone", from = "zone", match = 0 }',
        ),
        [
            "[jobs.phone.users] attributes[2].match | has the same precedence as attributes[0] | "
            "give each its own number; the lowest is asked first",
            "[jobs.phone.users] attributes[3].match | an expression that has another value each time finds no account again | "
            "match on what does not change",
            "[jobs.phone.users] attributes[4] | match needs from or expression: any other value tells no accounts apart | ",
            "[jobs.phone.users] attributes[5].match | only an attribute with one simple value can be matched | ",
            "[jobs.phone.users] attributes[6].match | must be at least 1 | ",
        ],
    ),
    "no match, and not what the app needs": (
        SOUND + JOB + '[jobs.phone.users]\nattributes = [ { to = "title", from = "jobTitle" } ]\n'
        '[jobs.phone.groups]\nactions = ["update"]\nattributes = [ { to = "externalId", from = "id", match = 1 } ]\n',
        [
            "[jobs.phone.users] attributes | no attribute is matched: existing accounts cannot be found | "
            "add match = 1 to one of them",
            "[jobs.phone.users] attributes | nothing is mapped to userName, which the app requires | ",
            "[jobs.phone.groups] attributes | nothing is mapped to displayName, which the app requires | ",
        ],
    ),
    "constants that the attribute cannot take": (
        users('{ to = "emails", constant = "x" }', '{ to = "title", constant = ["a"] }').replace(
            'from = "accountEnabled"', 'constant = "perhaps"'
        ),
        [
            "[jobs.phone.users] attributes[1].constant | active takes true or false | ",
            "[jobs.phone.users] attributes[2].constant | emails takes no simple value: map to a part of it | ",
            "[jobs.phone.users] attributes[3].constant | title takes one value, not a list | ",
        ],
    ),
    "clauses": (
        filtered(
            '{ all = [ { attribute = "a", operator = "EQUAL", value = "b" }, { attribute = "a", operator = "EQUALS" }, '
            '{ attribute = "a", operator = "IS NULL", value = "" }, { attribute = "a", operator = "REGEX MATCH", value = "b(" }, '
            '{ attribute = "a", operator = "Greater_Than", value = "b" }, { attribute = "a" }, {}, { any = [] }, '
            '{ member_of = "g", attribute = "a" }, { not = { attribute = "a", operator = "IS NULL" }, nested = true } ] }'
        ),
        [
            "[jobs.phone.users] filter.all[0].operator | must be one of EQUALS, NOT EQUALS, IS NULL, IS NOT NULL, IS TRUE, "
            "IS FALSE, REGEX MATCH, NOT REGEX MATCH, Includes, ENDS_WITH, Greater_Than, Greater_Than_OR_EQUALS, &, !&, "
            "BEFORE, ON_OR_BEFORE, AFTER, ON_OR_AFTER | "
            "did you mean 'EQUALS'?",
            "[jobs.phone.users] filter.all[1] | EQUALS needs a value | ",
            "[jobs.phone.users] filter.all[2] | IS NULL takes no value | ",
            "[jobs.phone.users] filter.all[3] | value is no regular expression: wrong from character 2 on | ",
            "[jobs.phone.users] filter.all[4] | Greater_Than compares whole numbers only | ",
            "[jobs.phone.users] filter.all[5] | the clause has no operator | one of EQUALS, NOT EQUALS, IS NULL, IS NOT NULL, "
            "IS TRUE, IS FALSE, REGEX MATCH, NOT REGEX MATCH, Includes, ENDS_WITH, Greater_Than, Greater_Than_OR_EQUALS, "
            "&, !&, BEFORE, ON_OR_BEFORE, AFTER, ON_OR_AFTER",
            "[jobs.phone.users] filter.all[6] | must be exactly one condition | "
            "one of all, any, not, member_of, or attribute with operator",
            "[jobs.phone.users] filter.all[7].any | must not be empty | ",
            "[jobs.phone.users] filter.all[8] | must be exactly one condition | "
            "one of all, any, not, member_of, or attribute with operator",
            "[jobs.phone.users] filter.all[9] | nested goes with member_of | ",
        ],
    ),
    "faults of shape hide no others, and none is made up because of them": (
        SOUND
        + '[jobs.phone]\nsource = "staf"\ntarget = "phone"\nscope = "all"\ninterval = 3\n[jobs.phone.users]\nattributes = [ '
        '{ from = "a" }, { to = "userName", from = "b", match = "1" }, { to = "title", from = "c", bogus = 1 }, '
        '{ to = "title", from = "d" }, { to = "id", from = "e", apply = "never" } ]\n',
        [
            "[jobs.phone] source | unknown source 'staf' | did you mean 'staff'?",
            '[jobs.phone] interval | must be a string | for example "90s"',
            "[jobs.phone.users] attributes[0].to | is missing | ",
            "[jobs.phone.users] attributes[1].match | must be a whole number | ",
            "[jobs.phone.users] attributes[2].bogus | unknown key | "
            "known: apply, constant, default, expression, from, match, null, to",
            "[jobs.phone.users] attributes[3].to | is mapped twice, first in attributes[2] | ",
            "[jobs.phone.users] attributes[4].to | only the app sets id | leave this mapping out",
            "[jobs.phone.users] attributes[4].apply | must be one of always, create, add_only, if_empty | ",
        ],
    ),
    "a wrong item of a list in a table that is left out itself": (
        '[state]\n[jobs.a]\nonly = [""]\n',
        [
            "[jobs.a] only[0] | must not be empty | ",
            "[jobs.a] source | is missing | ",
            "[jobs.a] target | is missing | ",
        ],
    ),
    "secrets in plain text": (
        '[state]\nurl = "postgresql://u:S3CRET@db.example/x"\n'
        '[mail]\nhost = "h"\nfrom = "a@example.com"\nusername = "u"\npassword = "S3CRET"\n'
        '[targets.a]\ntype = "scim"\nurl = "https://u:S3CRET@a.example"\nauth = { type = "bearer", token = "S3CRET" }\n'
        'proxy = "http://u:S3CRET@proxy.example:3128"\n'
        '[targets.b]\ntype = "scim"\nurl = "https://b.example?api_key=S3CRET"\n'
        'auth = { type = "basic", username = "u", password = 53 }\n'
        '[targets.c]\ntype = "rest"\nprofile = "aircall"\nauth = { type = "header", name = "X-Key", key = "S3CRET" }\n'
        '[sources.d]\ntype = "sql"\nurl = "postgresql://u:S3CRET@db.example/x"\nusers = "SELECT 1"\npassword = "S3CRET"\n',
        [
            "[state] url | a secret must not stand in an address | "
            "leave the password out and name its place in [state] password",
            f"[mail] password | {PLAIN} | {PLACES}",
            "[targets.a] url | a secret must not stand in an address | name its place in auth",
            f"[targets.a] auth.token | {PLAIN} | {PLACES}",
            "[targets.a] proxy | a secret must not stand in an address | name its place in auth",
            "[targets.b] url | a secret must not stand in an address | name its place in auth",
            "[targets.b] auth.password | must be a table | ",
            f"[targets.c] auth.key | {PLAIN} | {PLACES}",
            "[sources.d] url | a secret must not stand in an address | leave the password out and name its place in password",
            f"[sources.d] password | {PLAIN} | {PLACES}",
        ],
    ),
    "secrets in the place of their place": (
        "".join(
            f'[targets.{name}]\ntype = "scim"\nurl = "https://{name}.example"\nauth = {{ type = "bearer", token = {place} }}\n'
            for name, place in {
                "a": '{ env = "ghp_S3CRETS3CRETS3CRETS3CRET" }',
                "b": '{ credential = "eyJhbGciOiJS3CRET" }',
                "c": '{ file = "aB3aB3aB3aB3aB3aB3aB3S3CRET" }',
                "d": '{ env = "S3CRET VALUE" }',
                "e": '{ credential = "../S3CRET" }',
                "f": "{}",
                "g": '{ env = "A", file = "b" }',
            }.items()
        ),
        [
            f"[targets.a] auth.token | env must name the place of the secret, not hold the secret itself | {PLACES}",
            f"[targets.b] auth.token | credential must name the place of the secret, not hold the secret itself | {PLACES}",
            f"[targets.c] auth.token | file must name the place of the secret, not hold the secret itself | {PLACES}",
            "[targets.d] auth.token | env is no name of an environment variable | letters, digits and underscores",
            "[targets.e] auth.token | credential is no name of a systemd credential | "
            "letters, digits, dots, dashes and underscores",
            f"[targets.f] auth.token | must name exactly one of env, file, credential | {PLACES}",
            f"[targets.g] auth.token | must name exactly one of env, file, credential | {PLACES}",
        ],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_every_problem_is_named_at_once(case: str, tmp_path: Path) -> None:
    text, expected = WRONG[case]
    found = problems_of(text, tmp_path)
    assert found == expected
    assert "S3CRET" not in "\n".join(found)


def test_the_configuration_that_the_wrong_ones_are_made_of_is_sound(tmp_path: Path) -> None:
    assert problems_of(users(), tmp_path) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a]\nx = \n", "config.toml line 2 | is no valid TOML: Invalid value at column 5 | "),
        ("[a]\n[a]\n", "config.toml line 2 | is no valid TOML: Cannot declare ('a',) twice at column 3 | "),
        ("x = 'a", "config.toml | is no valid TOML: "),
        (f"x = {'[' * 100_000}", "config.toml | is nested too deeply | "),
    ],
)
def test_what_is_no_toml_is_refused_with_its_line(text: str, expected: str, tmp_path: Path) -> None:
    (found,) = problems_of(text, tmp_path)
    assert found.startswith(expected)


def test_a_file_that_is_no_text_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"# fine\n# f\xfcr\n")
    with pytest.raises(ConfigError, match=r"config\.toml line 2: is not UTF-8 text"):
        config.load(path)


def test_a_condition_nested_beyond_all_reason_is_refused(tmp_path: Path) -> None:
    deep = '{ attribute = "a", operator = "IS NULL" }'
    for _ in range(150):
        deep = f"{{ not = {deep} }}"
    found = problems_of(filtered(deep), tmp_path)
    assert all("nested too deeply" in line for line in found)


def test_the_rows_of_an_assignments_file_are_judged_by_line(tmp_path: Path) -> None:
    (tmp_path / "phone.csv").write_text(
        "kind,principal,role\nuser,ann,admin\nperson,S3CRET,\ngroup, ,\nuser,b,c,d\n", "utf-8"
    )
    (tmp_path / "wiki.csv").write_text("principal,kind\nann,user\n", "utf-8")
    job = JOB.replace("all", "assigned")
    text = (
        SOUND
        + job
        + 'assignments = "phone.csv"\n'
        + job.replace("jobs.phone", "jobs.wiki")
        + 'assignments = "wiki.csv"\n'
        + job.replace("jobs.phone", "jobs.desk")
        + 'assignments = "desk.csv"\n'
    )
    assert problems_of(text, tmp_path) == [
        "phone.csv line 3 | kind must be user or group | ",
        "phone.csv line 4 | names no principal | ",
        "phone.csv line 5 | has 4 cells where the heading has 3 | ",
        "wiki.csv line 1 | the heading must be kind,principal,role | ",
        "desk.csv | cannot be read: No such file or directory | ",
    ]


def test_problems_of_included_files_name_those_files(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "a.toml").write_text('[jobs.a]\nsource = "staf"\ntarget = "phone"\nscope = "all"\n', "utf-8")
    (tmp_path / "jobs" / "b.toml").write_text('include = ["c.toml"]\n[jobs.a]\nsource = "staff"\n', "utf-8")
    (tmp_path / "jobs" / "c.toml").write_text("[jobs.c\n", "utf-8")
    assert problems_of('include = ["jobs/*.toml", "nobody.toml"]\n' + SOUND, tmp_path) == [
        "include[1] | the file is not there | ",
        "jobs/b.toml: include | only the main file includes others | ",
        "jobs/b.toml: [jobs.a] | stands in {0}/jobs/a.toml already | ".replace("{0}/", ""),
        "jobs/c.toml line 1 | is no valid TOML: Expected ']' at the end of a table declaration at column 8 | ",
        "jobs/a.toml: [jobs.a] source | unknown source 'staf' | did you mean 'staff'?",
    ]


@pytest.mark.parametrize("pattern", [".", "/", "./"])
def test_an_include_of_a_directory_is_named(pattern: str, tmp_path: Path) -> None:
    wrong = "include[0] | is a directory, and no pattern of file names | "
    assert problems_of(f'include = ["{pattern}"]\n' + SOUND, tmp_path) == [wrong]


def test_an_include_that_no_file_can_be_called_is_named(tmp_path: Path) -> None:
    [found] = problems_of(f'include = ["{"x" * 300}"]\n' + SOUND, tmp_path)
    # from Python 3.12 on, looking for it finds nothing
    assert found in ("include[0] | cannot be looked up: File name too long | ", "include[0] | the file is not there | ")


def test_a_key_that_may_be_a_secret_is_not_shown(tmp_path: Path) -> None:
    (found,) = problems_of(f"[state]\n{'S3CRET' * 20} = 1\n", tmp_path)
    assert found == "[state] (a key of 120 characters) | unknown key | known: password, url"
