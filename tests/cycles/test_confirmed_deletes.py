"""An app that can disable an account and cannot undo a delete: what is withheld until a job says so is told."""

from __future__ import annotations

import pytest

from reconciler import config
from reconciler.errors import ConfigError
from tests.commands.shell import Shell
from tests.cycles.calendar import DAY
from tests.cycles.company import Company, done
from tests.servers.scim import ScimServer

WORDS = "what is deleted there is gone"
CONFIRMED = f'confirm_delete = "{WORDS}"'
ANN = "ann@example.com"


@pytest.fixture
def firm(company: Company) -> Company:
    """A company whose app wants to be told."""
    (company.directory / "app.toml").write_text(f'name = "app"\nextends = "scim"\nconfirm_delete = "{WORDS}"\n')
    company.target_lines = 'profile = "app.toml"'
    company.people("ann", "bob")
    return company


def says(firm: Company, *lines: str) -> Shell:
    firm.tables = "\n".join(["[jobs.app.deprovision]", *lines])
    firm.write()
    return Shell(firm.directory)


async def test_who_was_disabled_is_not_deleted_later_and_everybody_is_told(firm: Company, server: ScimServer) -> None:
    shell = says(firm)
    checked = await shell("check")
    assert checked.code == 0
    assert "confirm_delete: is missing: nobody is deleted without it, not 30d after the disable either" in checked.err
    assert f'{CONFIRMED}, or delete_after = "never" where nobody is to be' in checked.err
    await firm.cycle()
    del firm.users["ann"]
    assert done(await firm.cycle()) == {"disable": 1}
    firm.clock.turn(60 * DAY)
    assert done(await firm.cycle(full=True)) == {}
    assert server.user(ANN)["active"] is False
    status = await shell("status", "app", "--json")
    assert status.json()["jobs"][0]["deletes_withheld"] is True
    assert "the job does not repeat confirm_delete" in (await shell("status", "app")).out
    says(firm, CONFIRMED)
    assert done(await firm.cycle(full=True)) == {"delete": 1}
    assert (await shell("status", "app", "--json")).json()["jobs"][0]["deletes_withheld"] is False


def found(firm: Company) -> tuple[bool, str]:
    """Return whether the configuration is refused, and what is said about it."""
    try:
        loaded = config.load(firm.directory / "config.toml")
    except ConfigError as refused:
        return True, str(refused)
    return False, " ".join(str(warning) for warning in loaded.warnings)


@pytest.mark.parametrize(
    ("lines", "refused", "told"),
    [
        (['delete_after = "10d"'], True, True),
        (['gone = "delete"'], True, True),
        (['delete_after = "never"'], False, False),
        (['delete_after = "10d"', CONFIRMED], False, False),
        (['delete_after = "10d"', 'confirm_delete = "yes"'], True, False),
    ],
)
def test_a_job_that_asks_for_deletes_must_say_the_words(
    firm: Company, lines: list[str], refused: bool, told: bool
) -> None:
    says(firm, *lines)
    is_refused, said = found(firm)
    assert is_refused is refused
    assert ("nobody is deleted without it" in said) is told


def test_a_job_that_may_not_delete_at_all_is_not_asked(firm: Company) -> None:
    path = firm.write()
    text = path.read_text("utf-8")
    path.write_text(text.replace("[jobs.app.users]\n", '[jobs.app.users]\nactions = ["create", "update"]\n'), "utf-8")
    assert found(firm) == (False, "")
