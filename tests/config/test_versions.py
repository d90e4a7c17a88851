"""The version of a job's rules: another when decisions may be others, and the same otherwise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reconciler import config
from tests.config.texts import JOB, SOUND

USERS = """
[jobs.phone.users]
attributes = [ { to = "userName", from = "upn", match = 1 }, { to = "active", from = "enabled" } ]
"""
BASE = SOUND + JOB + 'interval = "40m"\nroles = ["agent"]\nassignments = "phone.csv"\n' + USERS
ROWS = "kind,principal,role\nuser,ann,\ngroup,APP,\n"

SAME = {
    "another interval": ('"40m"', '"10m"'),
    "somebody to notify": ('interval = "40m"', 'interval = "40m"\nnotify = ["it@example.com"]'),
    "not enabled": ('scope = "all"', 'scope = "all"\nenabled = false'),
    "another threshold": ('scope = "all"', 'scope = "all"\ndeletion_threshold = 3\nsafeguard_window = "2h"'),
    "another time between comparisons": ('scope = "all"', 'scope = "all"\nfull_interval = "1d"\nstop_after = "28d"'),
    "another token": ("PHONE_TOKEN", "OTHER_TOKEN"),
    "another pace": ('type = "scim"', 'type = "scim"\nconcurrency = 2\npatch = "put"'),
    "the job's mappings in another order": (
        '{ to = "userName", from = "upn", match = 1 }, { to = "active", from = "enabled" }',
        '{ to = "active", from = "enabled" }, { to = "userName", from = "upn", match = 1 }',
    ),
    "the default, written out": ('scope = "all"', 'scope = "all"\nnested = false'),
}
OTHER = {
    "another scope": ('scope = "all"', 'scope = "roles"'),
    "nested groups": ('scope = "all"', 'scope = "all"\nnested = true'),
    "all roles": ('scope = "all"', 'scope = "all"\nrole_choice = "all"'),
    "another condition of a role": ('value = "Support"', 'value = "Sales"'),
    "another mapping": ('from = "enabled"', 'expression = "Not([IsSoftDeleted])"'),
    "when a mapping flows": ('from = "enabled"', 'from = "enabled", apply = "create"'),
    "what null does": ('from = "enabled"', 'from = "enabled", null = "clear"'),
    "a default": ('from = "enabled"', 'from = "enabled", default = true'),
    "a default of another type": ('from = "enabled"', 'from = "enabled", default = "true"'),
    "matching": ("match = 1", "match = 2"),
    "a filter": (USERS, USERS + 'filter = { attribute = "a", operator = "IS NULL" }\n'),
    "actions": (USERS, USERS + 'actions = ["create"]\n'),
    "groups": (USERS, USERS + "[jobs.phone.groups]\n"),
    "deprovisioning": (USERS, USERS + '[jobs.phone.deprovision]\ngone = "keep"\n'),
    "who is active": ('users = "users.jsonl"', 'users = "users.jsonl"\nactive = "a"'),
    "who is the same person": ('users = "users.jsonl"', 'users = "users.jsonl"\nperson = "p"'),
    "protected accounts": ('type = "scim"', 'type = "scim"\nprotected = ["root"]'),
    "what the profile knows": ('type = "scim"', 'type = "scim"\nprofile = "own.toml"'),
    "an assignment more": (ROWS, ROWS + "user,bob,\n"),
    "an assignment with a role": ("user,ann,", "user,ann,admin"),
}


def version(directory: Path, change: tuple[str, str] = ("", "")) -> str:
    text, rows = BASE.replace(*change), ROWS.replace(*change)
    assert change == ("", "") or (text, rows) != (BASE, ROWS)
    (directory / "config.toml").write_text(text, "utf-8")
    (directory / "phone.csv").write_text(rows, "utf-8")
    own = 'extends = "scim"\nname = "own"\n[users.define]\nuserName = { required = true, case_exact = true }\n'
    (directory / "own.toml").write_text(own, "utf-8")
    loaded = config.load(directory / "config.toml")
    return config.rules_version(loaded.jobs["phone"], loaded.profiles["phone"])


@pytest.mark.parametrize("case", SAME)
def test_what_decides_nothing_leaves_the_version(case: str, tmp_path: Path) -> None:
    assert version(tmp_path, SAME[case]) == version(tmp_path)


@pytest.mark.parametrize("case", OTHER)
def test_what_may_decide_otherwise_makes_another_version(case: str, tmp_path: Path) -> None:
    assert version(tmp_path, OTHER[case]) != version(tmp_path)


def test_every_change_makes_a_version_of_its_own(tmp_path: Path) -> None:
    assert len({version(tmp_path, change) for change in OTHER.values()}) == len(OTHER)


def test_the_version_is_the_same_in_every_process(tmp_path: Path) -> None:
    """Sets have another order in each process; the version that stands in the state must not."""
    here = version(tmp_path)
    script = (
        "import sys; from pathlib import Path; from reconciler import config; c = config.load(Path(sys.argv[1])); "
        "print(config.rules_version(c.jobs['phone'], c.profiles['phone']), end='')"
    )
    for seed in "12":
        run = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "config.toml")],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(config.__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout == here
