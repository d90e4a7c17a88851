"""init on a terminal: it asks for what it cannot know, and writes the answers where the gaps were."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler import config
from reconciler.config import GraphTargetSettings, ScimTargetSettings
from tests.commands.shell import DEADLINE_SECONDS, Shell, environment


async def test_a_profile_of_ones_own_is_named_as_the_configuration_sees_it(tmp_path: Path, shell: Shell) -> None:
    (tmp_path / "our.toml").write_text('name = "our-app"\nextends = "scim"\n')
    (tmp_path / "conf").mkdir()
    ran = await shell("init", "--profile", "our.toml", "-c", "conf/config.toml")
    assert (ran.code, ran.err) == (0, "")
    written = tmp_path / "conf" / "config.toml"
    assert 'profile = "../our.toml"' in written.read_text("utf-8")
    assert set(config.load(written).targets) == {"our-app"}


async def asked(directory: Path, profile: str, *answers: str) -> str:
    """Run init on a terminal, type the answers, and return what the terminal showed."""
    ours, terminal = os.openpty()
    shown = bytearray()
    loop = asyncio.get_running_loop()
    loop.add_reader(ours, lambda: shown.extend(os.read(ours, 65536)))
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "reconciler", "init", "--profile", profile),
            cwd=directory,
            env=environment({}),
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=terminal,
        )
        os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
        await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
    finally:
        loop.remove_reader(ours)
        os.close(terminal)
        os.close(ours)
    assert process.returncode == 0, shown.decode()
    return shown.decode()


@pytest.mark.row("C7")
async def test_an_app_that_is_known_is_asked_about_only_what_is_the_companys_own(tmp_path: Path) -> None:
    shown = await asked(tmp_path, "sightcall", "Field engineers", "it@example.com")
    assert "base URL" not in shown
    loaded = config.load(tmp_path / "config.toml")
    job = loaded.jobs["sightcall"]
    assert "Field engineers" in str(job.assigned)
    assert (job.notify, job.enabled) == (("it@example.com",), False)


async def test_an_app_without_a_profile_is_asked_for_its_address(tmp_path: Path) -> None:
    await asked(tmp_path, "scim", "https://calls.example.com/scim/v2", "", "")
    loaded = config.load(tmp_path / "config.toml")
    target = loaded.targets["app"]
    assert isinstance(target, ScimTargetSettings)
    assert target.url == "https://calls.example.com/scim/v2"
    assert "# <-- who gets the app" in (tmp_path / "config.toml").read_text("utf-8"), "what was not answered is a gap"


async def test_a_directory_is_asked_for_tenant_and_registration_and_for_no_group(tmp_path: Path) -> None:
    number = "11111111-2222-3333-4444-555555555555"
    shown = await asked(tmp_path, "entra", "contoso.onmicrosoft.com", number, "hr@example.com")
    assert "group" not in shown
    target = config.load(tmp_path / "config.toml").targets["entra"]
    assert isinstance(target, GraphTargetSettings)
    assert (target.tenant, target.client_id) == ("contoso.onmicrosoft.com", number)
    text = (tmp_path / "config.toml").read_text("utf-8")
    assert text.count("<--") == 1 + 1, "the line that explains the mark, and enabled"
