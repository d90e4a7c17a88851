"""What the project promises of itself: its locks, its set-up, its unit, its changelog."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from reconciler.commands.speaking import OF_THE_SYSTEM

HERE = Path(__file__).parent.parent
LOCKS = sorted((HERE / "requirements").glob("*.txt"))
PIN = re.compile(r"^([a-z0-9][a-z0-9-]*)==(\S+?)(?: ;.*)? \\$", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    return dict(PIN.findall((HERE / "requirements" / name).read_text()))


def project() -> dict[str, object]:
    return tomllib.loads((HERE / "pyproject.toml").read_text())


# --- the locks ---------------------------------------------------------------------------------------------------


def test_every_lock_is_there() -> None:
    assert [path.name for path in LOCKS] == [
        "build.txt",
        "container.txt",
        "demo.txt",
        "dev.txt",
        "ldap-build.txt",
        "ldap.txt",
        "lock.txt",
        "mutants.txt",
        "run.txt",
    ]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_holds_exact_versions_with_hashes_and_nothing_else(lock: Path) -> None:
    text = lock.read_text()
    assert pins(lock.name)
    for entry in re.split(r"\n(?=[a-z0-9])", re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE)):
        assert PIN.match(entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
    assert "://" not in text
    assert not re.search(r"--(extra-)?index-url|--find-links|--trusted-host|file:|\s/\w", text)


def test_what_npm_brings_is_pinned_too() -> None:
    place = HERE / "tests/servers/scimmy"
    asked = json.loads((place / "package.json").read_text())["dependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in asked.values()), asked
    locked = json.loads((place / "package-lock.json").read_text())["packages"]
    assert {name: locked[f"node_modules/{name}"]["version"] for name in asked} == asked
    for name, one in locked.items():
        assert not name or one["integrity"].startswith("sha512-"), name
        assert "resolved" not in one, "a lock names no registry"


def test_a_lock_is_a_part_of_the_next() -> None:
    run, demo, dev, build = pins("run.txt"), pins("demo.txt"), pins("dev.txt"), pins("build.txt")
    assert run.items() <= demo.items() <= dev.items()
    assert build.items() <= dev.items()
    assert run.items() <= pins("container.txt").items() <= dev.items()
    assert {"uvloop", "psycopg"} <= pins("container.txt").keys()


def test_what_the_project_asks_for_is_locked() -> None:
    match project():
        case {
            "project": {"dependencies": list(run), "optional-dependencies": dict(extras)},
            "dependency-groups": dict(groups),
        }:
            pass
        case _:
            raise AssertionError("pyproject.toml has another shape")

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[\[<>=~!; ]", one)[0].lower().replace("_", "-") for one in requirements}

    assert names(run) <= pins("run.txt").keys()
    assert names(extras["demo"]) <= pins("demo.txt").keys()
    assert pins("run.txt").items() <= pins("ldap.txt").items(), "one environment takes both"
    assert names(extras.pop("ldap")) <= pins("ldap.txt").keys()
    for requirements in (*extras.values(), *groups.values()):
        assert names(requirements) <= pins("dev.txt").keys()


# --- set-up ------------------------------------------------------------------------------------------------------

FAKE_PYTHON = """#!/bin/sh
echo "$*" >> "{calls}"
case "$*" in
  "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python";;
  *"{fails_at}"*) exit 1;;
esac
"""


def make(where: Path, goal: str, *, fails_at: str) -> tuple[int, list[str]]:
    """Run make for a goal with a Python that writes down how it is called; return its exit code and those calls."""
    calls = where / "calls"
    calls.write_text("")
    fake = where / "python3"
    fake.write_text(FAKE_PYTHON.format(calls=calls, fails_at=fails_at))
    fake.chmod(0o755)
    venv_python = where / "venv/bin/python"
    if venv_python.exists():
        shutil.copy(fake, venv_python)
    done = subprocess.run(
        ["make", "-C", str(HERE), goal, f"PYTHON={fake}", f"VENV={where / 'venv'}"],
        capture_output=True,
        env={"PATH": os.environ["PATH"]},
        check=False,
    )
    return done.returncode, calls.read_text().splitlines()


@pytest.mark.parametrize(("stamp", "lock"), [(".for-demo", "demo.txt"), (".for-development", "dev.txt")])
def test_set_up_installs_from_the_lock_once_and_a_failure_leaves_no_stamp(
    tmp_path: Path, stamp: str, lock: str
) -> None:
    goal = str(tmp_path / "venv" / stamp)
    for fails_at in ("--require-hashes", "--no-deps"):
        assert make(tmp_path, goal, fails_at=fails_at)[0] != 0
        assert not Path(goal).exists()
    code, calls = make(tmp_path, goal, fails_at="nothing")
    assert code == 0
    locked, ours = (call for call in calls if " install " in call)
    assert f"--require-hashes --only-binary :all: -r requirements/{lock}" in locked
    assert ours.endswith("--no-deps --no-build-isolation --editable .")
    assert make(tmp_path, goal, fails_at="nothing") == (0, [])


def test_an_environment_that_could_not_be_made_leaves_no_stamp(tmp_path: Path) -> None:
    fake = tmp_path / "python3"
    fake.write_text('#!/bin/sh\n[ "$1" = -c ] || { mkdir -p "$3/bin"; exit 1; }\n')
    fake.chmod(0o755)
    made = tmp_path / "venv" / ".made"
    done = subprocess.run(
        ["make", "-C", str(HERE), str(made), f"PYTHON={fake}", f"VENV={made.parent}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "apt install python3-venv" in done.stderr
    assert not made.exists()


def test_another_python_gets_an_environment_of_its_own() -> None:
    def first_line(*arguments: str) -> str:
        done = subprocess.run(
            ["make", "-C", str(HERE), "-n", "-B", "demo", *arguments], capture_output=True, check=True
        )
        return done.stdout.decode()

    assert "-m venv .venv-python3.12" in first_line("PYTHON=python3.12")
    assert "-m venv .venv " in first_line("PYTHON=python3")


def test_what_checks_a_change_is_what_the_makefile_offers() -> None:
    script = HERE / ".ci/run"
    assert os.access(script, os.X_OK)
    commands = [line for line in script.read_text().splitlines() if line.startswith("make")]
    assert commands == ["make packages", "make ldap", "make scimmy", "make test NO_SKIPS=1"]


@pytest.mark.parametrize(
    ("test", "code"),
    [
        ("def test_it(): assert True", 0),
        ("import pytest\n@pytest.mark.skip(reason='x')\ndef test_it(): pass", 1),
        ("import pytest\npytest.importorskip('no_such_module')\ndef test_it(): pass\n", 1),
    ],
    ids=["none skipped", "a test skipped", "a module skipped"],
)
def test_where_everything_is_installed_a_skipped_test_fails_the_run(tmp_path: Path, test: str, code: int) -> None:
    for name, text in (
        ("test_it.py", test),
        ("test_other.py", "def test_other(): assert True"),
        ("pytest.ini", "[pytest]"),
    ):
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.no_skips", "-p", "no:cacheprovider", "-c", "pytest.ini"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(HERE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    assert ("nothing may be" in done.stdout) is bool(code)


# --- what stands in the files --------------------------------------------------------------------------------------


def tracked_files() -> list[Path]:
    if not (HERE / ".git").exists():
        return [
            path for path in HERE.rglob("*.*") if not any(part.startswith(".") for part in path.relative_to(HERE).parts)
        ]
    listed = subprocess.run(["git", "-C", str(HERE), "ls-files", "-z"], capture_output=True, check=True)
    return [path for name in listed.stdout.decode().split("\0") if name and (path := HERE / name).is_file()]


def test_no_file_names_this_machine() -> None:
    places = [re.escape(str(place)).encode() for place in (HERE, Path.home()) if place.parts[1:]]
    own = re.compile(rb"(?<![\w./-])(" + b"|".join(places) + rb")/")
    assert places
    assert [path.name for path in tracked_files() if own.search(path.read_bytes())] == []


def test_the_changelog_has_a_place_for_what_is_new() -> None:
    headings = re.findall(r"^## (.*)$", (HERE / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading) for heading in headings[1:])


# --- the unit ----------------------------------------------------------------------------------------------------

UNIT = HERE / "systemd/reconciler.service"
SOCKET = HERE / "systemd/reconciler.socket"
EXPOSURE_MAX = 1.5
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs the Debian package systemd")


def settings_of(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


@pytest.fixture
def installed(tmp_path: Path) -> list[Path]:
    """The units, with a program that this machine has."""
    for unit in (UNIT, SOCKET):
        text = unit.read_text().replace("/opt/reconciler/bin/reconciler", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    return [tmp_path / unit.name for unit in (UNIT, SOCKET)]


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_units(installed: list[Path]) -> None:
    done = subprocess.run(["systemd-analyze", "verify", *installed], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
def test_the_unit_is_a_sandbox_that_still_shows_who_speaks_to_it(installed: list[Path]) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", installed[0]],
        capture_output=True,
        text=True,
        check=True,
    )
    exposure = re.search(r"Overall exposure level for reconciler\.service: (\d+\.\d)", done.stdout)
    assert exposure is not None, done.stdout
    assert float(exposure[1]) <= EXPOSURE_MAX, done.stdout
    assert "PrivateUsers" not in settings_of(UNIT), "it hides the credentials of whoever speaks to the socket"


@needs_systemd
def test_what_the_unit_forbids_is_lifted_where_the_daemon_gives_its_own_socket_to_a_group() -> None:
    forbidden = subprocess.run(
        ["systemd-analyze", "syscall-filter", "@privileged"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "@chown" in forbidden
    assert "~@privileged @resources" in settings_of(UNIT)["SystemCallFilter"]
    assert "SystemCallFilter=@chown" in (HERE / "systemd/README.md").read_text()


@needs_systemd
def test_the_group_of_the_socket_is_made_as_the_notes_say(tmp_path: Path) -> None:
    groups = HERE / "systemd/reconciler.sysusers"
    done = subprocess.run(
        ["systemd-sysusers", "--dry-run", groups], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    group = settings_of(SOCKET)["SocketGroup"][0]
    assert f"\ng {group} -\n" in groups.read_text()
    assert group != settings_of(UNIT)["User"][0], (
        "a group of the dynamic user's name would keep the service from starting"
    )


def test_the_unit_runs_the_daemon_and_does_not_restart_what_a_person_must_mend() -> None:
    found = settings_of(UNIT)
    assert found["ExecStart"] == ["/opt/reconciler/bin/reconciler run -c /etc/reconciler/config.toml"]
    assert found["RestartPreventExitStatus"] == ["2"]
    assert (found["Type"], found["ExecReload"]) == (["notify"], ["/bin/kill -HUP $MAINPID"])
    assert "WatchdogSec" in found
    assert (found["DynamicUser"], found["StateDirectory"]) == (["yes"], ["reconciler"])


def test_the_socket_is_where_commands_look_and_outside_of_what_is_removed_with_the_service() -> None:
    listens, removed = settings_of(SOCKET)["ListenStream"][0], settings_of(UNIT)["RuntimeDirectory"][0]
    assert Path(listens) == OF_THE_SYSTEM
    assert not Path(listens).is_relative_to(Path("/run") / removed)
    assert settings_of(SOCKET)["SocketMode"] == ["0660"]
