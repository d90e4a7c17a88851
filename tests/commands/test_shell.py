"""How the command line behaves in a shell: which configuration, which exit code, what goes where."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import click
import orjson
import pytest

from reconciler import cli, config
from tests.commands.shell import ROOT, Hanging, Shell, environment
from tests.cycles.company import Company
from tests.servers.scim import ScimServer


async def test_the_configuration_is_named_before_after_or_around_the_command(
    company: Company, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = Shell(tmp_path_factory.mktemp("elsewhere"))
    path = company.directory / "config.toml"
    for arguments in (("-c", path, "check"), ("check", "-c", path)):
        ran = await elsewhere(*arguments)
        assert (ran.code, ran.out.partition(": ")[0]) == (0, str(path))
    elsewhere.environment["RECONCILER_CONFIG"] = str(path)
    assert (await elsewhere("check")).code == 0
    assert (await elsewhere("check", "-c", "nowhere.toml")).code == 2, "the nearer word counts"
    ran = await elsewhere("cycle", "app", "--json")
    assert (ran.code, ran.json()["counts"]["create"]) == (0, 3)
    assert (company.directory / "state.db").exists(), "paths are relative to the configuration"


async def test_an_unknown_command_is_exit_2_with_the_nearest_name(shell: Shell) -> None:
    ran = await shell("cylce")
    assert (ran.code, ran.out) == (2, "")
    assert "No such command 'cylce'. Did you mean cycle?" in ran.err


async def test_help_lists_every_command_that_there_is_and_no_other(shell: Shell) -> None:
    ran = await shell("--help")
    assert ran.code == 0
    listed = {line.split()[0] for line in ran.out.partition("Commands:\n")[2].splitlines() if line.strip()}
    assert listed == set(cli.COMMANDS)


async def test_a_reader_that_leaves_is_no_reason_for_a_traceback(company: Company, shell: Shell) -> None:
    company.people(*(f"p{number:04}" for number in range(2000)))
    await company.cycle()
    process = await shell.start("links", "app", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    assert (await process.stdout.readline()).startswith(b'{"kind":"user"')
    process.stdout._transport.close()  # type: ignore[attr-defined]  # because asyncio has no public way to stop reading
    assert await process.stderr.read() == b""
    assert await process.wait() == 141


async def _in_sh(company: Company, words: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", f"{sys.executable} -m reconciler {words}"),
        cwd=company.directory,
        env=environment({}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
async def test_a_stream_that_is_closed_from_the_start_is_no_reason_to_end(company: Company, closed: str) -> None:
    code, out, err = await _in_sh(company, f"cycle app --json {closed}")
    assert (code, err) == (0, "")
    assert bool(out) == (closed in ("<&-", "2>&-"))
    _, told, _ = await _in_sh(company, "cycle app --json")
    assert sum(orjson.loads(told)["requests"].values()) == 0, "the cycle did its work"


@pytest.mark.parametrize("words", ["check", "plan app --json", "--help"])
async def test_output_for_which_there_is_no_room_is_one_sentence(company: Company, words: str) -> None:
    code, out, err = await _in_sh(company, f"{words} >/dev/full")
    said = "error: the output, or a temporary file, cannot be written: No space left on device\n"
    assert (code, out, err) == (2, "", said)


@pytest.mark.parametrize("words", [("--help",), ("log", "--help")])
def test_help_that_nobody_reads_is_exit_141(words: tuple[str, ...]) -> None:
    read, written = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "reconciler", *words]
    ran = subprocess.run(command, env=environment({}), stdout=written, stderr=subprocess.PIPE, check=False)
    os.close(written)
    assert (ran.returncode, ran.stderr) == (141, b"")


@pytest.mark.parametrize("words", ["check", "cycle app", "status", "holds", "approve app", "trigger app", "init"])
async def test_a_configuration_that_may_not_be_looked_at_is_one_sentence(words: str, shell: Shell) -> None:
    path = f"{'a' * 300}.toml"  # as in a directory that is closed to us; root may look into every one
    ran = await shell("-c", path, *words.split())
    assert (ran.code, ran.out, ran.err) == (2, "", f"error: {path}: cannot be read: File name too long\n")


async def test_ctrl_c_ends_a_cycle_with_130_and_loses_nothing(
    company: Company, shell: Shell, server: ScimServer
) -> None:
    hanging = Hanging(server, "POST", "/Users$", body="cleo@")
    process = await shell.start("cycle", "app", "--json")
    await hanging.arrived()
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out, err.strip()) == (130, b"", b"interrupted")
    server.script.clear()
    await company.cycle()
    assert sorted(user["userName"] for user in server.users.values()) == [
        *("ann@example.com", "bob@example.com", "cleo@example.com")
    ]
    assert sum((await company.cycle()).requests.values()) == 0


async def test_names_are_printed_on_a_terminal_that_knows_few_letters(company: Company) -> None:
    company.person("zoë", displayName="Zoë")
    await company.cycle()
    ran = await Shell(company.directory, PYTHONIOENCODING="latin-1:strict")("links", "app", "zoë")
    assert (ran.code, ran.err) == (0, "")
    assert " ? " in ran.out, "the arrow is not among them"


async def test_schema_is_json_schema(shell: Shell) -> None:
    ran = await shell("schema")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json() == config.json_schema()


async def test_init_check_plan_cycle_are_five_minutes_work(tmp_path: Path, shell: Shell, server: ScimServer) -> None:
    assert (await shell("init", "-o", "my.toml")).code == 0
    text = (tmp_path / "my.toml").read_text()
    people = [{"id": "1", "userPrincipalName": "ann@example.com", "accountEnabled": True}]
    (tmp_path / "users.jsonl").write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in people))
    text = text.replace("https://app.example.com/scim", server.url).replace("enabled = false", "enabled = true")
    text = "\n".join(line for line in text.splitlines() if not line.startswith(("groups =", "assigned =")))
    text = text.replace('scope = "assigned"', 'scope = "all"')
    variable = text.partition("{ env = ")[2].partition('"')[2].partition('"')[0]
    lines = [line for line in text.splitlines() if "{ to = " not in line or 'from = "userPrincipalName"' in line]
    (tmp_path / "my.toml").write_text("\n".join(lines))
    shell.environment[variable] = server.token
    shell.environment["RECONCILER_CONFIG"] = "my.toml"
    ran = await shell("check")
    assert ran.code == 0, ran.err
    assert (await shell("plan", "app")).out.startswith("create   user ann@example.com (1): ")
    assert (await shell("cycle", "app")).code == 0
    assert [user["userName"] for user in server.users.values()] == ["ann@example.com"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "out"),
    [
        (("evaluate", 'ToUpper("a")', "--json"), b"", 0, b'{"result":"A"}\n'),
        (("evaluate", "ToUpper(", "--json"), b"", 2, b'{"error":'),
        (("evaluate", "-"), b'{"expression":"[a]","attributes":{"a":1}}\n', 0, b'{"result":1}\n'),
    ],
)
def test_evaluate_needs_no_configuration(
    arguments: tuple[str, ...], stdin: bytes, code: int, out: bytes, tmp_path: Path
) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "reconciler", *arguments],
        cwd=tmp_path,
        env=environment({}),
        input=stdin,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == code
    assert ran.stdout.startswith(out)


async def test_a_second_writer_is_told_who_the_first_is(company: Company, shell: Shell, server: ScimServer) -> None:
    hanging = Hanging(server, "POST", "/Users$", body="cleo@")
    first = await shell.start("cycle", "app")
    await hanging.arrived()
    second = await shell("cycle", "app", "--json")
    assert (second.code, second.out) == (2, "")
    assert f"is being written by process {first.pid} (reconciler cycle app) since " in second.err
    assert (await shell("links", "app")).code == (await shell("log")).code == 0
    first.kill()
    await first.communicate()


def test_every_command_stands_in_the_page_of_commands_with_its_options() -> None:
    page = (ROOT / "docs" / "commands.md").read_text()
    sections = {
        title.split()[1].rstrip("`"): text
        for title, text in re.findall(r"^## (`reconciler .*)\n((?:(?!## ).*\n)*)", page, re.M)
    }
    assert set(sections) == set(cli.COMMANDS)
    for name, section in sections.items():
        command = cli.cli.get_command(cli.cli.make_context("reconciler", [name], resilient_parsing=True), name)
        assert command is not None
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--") and option not in ("--config", "--help"):
                    assert f"`{option}" in section, (name, option)


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "systemd/README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=str
)
def test_every_command_that_a_page_names_can_be_typed(page: Path) -> None:
    text = page.read_text()
    blocks = "\n".join(re.findall(r"```(?:sh|console)?\n(.*?)```", text, re.S)).replace("\\\n", " ")
    named = re.findall(r"`(reconciler [^`]+)`", text)
    named += [line.partition("  #")[0] for line in re.findall(r"(?:^|\$ |/)(reconciler [a-z].*)", blocks, re.M)]
    for command in named:
        words = shlex.split(re.split(r"[|;>]", re.sub(r"[\[\]…]", "", command.replace("\n", " ")))[0])[1:]
        if not words or words[0] in ("-c", "COMMAND"):
            continue
        found = cli.cli.get_command(click.Context(cli.cli), words[0])
        assert found is not None, command
        if isinstance(found, click.Group) or words[-1].startswith("-"):
            continue  # of an option that is only named, the value is missing
        _, extra, _ = found.make_parser(click.Context(found)).parse_args(words[1:])
        assert not extra, command


def test_the_page_of_operations_knows_every_state_and_exit_code() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    for state in ("active", "held", "quarantine", "paused", "incomplete", "unreachable"):
        assert f"| `{state}`" in page, state
    for code in (0, 1, 2, 3, 4, 5, 130):
        assert f"| {code} |" in page, code
