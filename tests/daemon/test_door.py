"""The socket's file: a dead daemon's is replaced, a living one's is not stolen, a passed one is used as it is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from reconciler.errors import ConfigError
from reconciler.runtime.door import open_door, passed_door
from reconciler.runtime.peers import Peer, People, Right, Rights, group_number, people_named
from tests.commands.shell import environment

NOBODY = 65534


@pytest.fixture
def path() -> Iterator[Path]:
    with TemporaryDirectory() as directory:
        yield Path(directory, "control.sock")


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.connect(str(path))
        except ConnectionRefusedError:
            return False
        return True


def refusal(path: Path, group: str | None = None) -> str:
    with pytest.raises(ConfigError) as raised:
        open_door(path, group)
    return str(raised.value)


def test_it_listens_for_owner_and_group_and_is_taken_away(path: Path) -> None:
    door = open_door(path, None)
    assert connects(path)
    assert path.stat().st_mode & 0o777 == 0o660
    assert door.group == path.stat().st_gid
    door.close()
    assert [file.name for file in path.parent.iterdir()] == ["control.sock.lock"]


def test_a_file_that_a_dead_daemon_left_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert not connects(path)
    door = open_door(path, None)
    assert connects(path)
    door.close()


def test_a_living_daemon_keeps_its_socket(path: Path) -> None:
    door = open_door(path, None)
    assert "another daemon listens there (stop it, or name another socket)" in refusal(path)
    assert connects(path)
    door.close()
    assert not path.exists()


def test_another_programs_socket_is_not_stolen_either(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        assert f"another process (process {os.getpid()}) listens there" in refusal(path)
        assert connects(path)
    open_door(path, None).close()


def test_what_is_no_socket_is_left_alone(path: Path) -> None:
    path.write_text("important")
    assert "is there already, and is no socket" in refusal(path)
    assert path.read_text() == "important"
    path.unlink()
    path.symlink_to("elsewhere")
    assert "is there already, and is no socket" in refusal(path)


def test_a_file_that_somebody_else_put_there_meanwhile_stays(path: Path) -> None:
    door = open_door(path, None)
    path.unlink()
    path.write_text("another's")
    door.close()
    assert path.read_text() == "another's"


def test_a_place_that_cannot_be_used_is_named(path: Path) -> None:
    assert "is longer than 107 bytes" in refusal(path.with_name("x" * 200))
    assert "its directory must be there, and writable" in refusal(path.parent / "nowhere" / "control.sock")
    assert "this machine has no group 'nosuchgroup'" in refusal(path, "nosuchgroup")


def test_it_is_given_to_the_group_that_is_named(path: Path) -> None:
    gid = 54321 if os.geteuid() == 0 else [os.getegid(), *os.getgroups()][-1]
    door = open_door(path, str(gid))
    assert door.group == path.stat().st_gid == gid
    door.close()


CONFINED = """
import ctypes, os, platform, struct, sys
from pathlib import Path
from reconciler.errors import ConfigError
from reconciler.runtime.door import open_door
numbers = {"x86_64": (92, 93, 94, 260), "aarch64": (54, 55)}[platform.machine()]
jumps = [struct.pack("HBBI", 0x15, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
filters = [struct.pack("HBBI", 0x20, 0, 0, 0), *jumps, struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)]
filters.append(struct.pack("HBBI", 0x06, 0, 0, 0x00050001))
code = ctypes.create_string_buffer(b"".join(filters))
class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(len(filters), ctypes.addressof(code))), 0, 0) == 0
try:
    os.chown(sys.argv[1], -1, -1)
except PermissionError:
    print("confined")
open_door(Path(sys.argv[1], "control.sock"), None).close()
open_door(Path(sys.argv[1], "control.sock"), str(os.getegid())).close()
try:
    open_door(Path(sys.argv[1], "control.sock"), "54321")
except ConfigError as error:
    print(error)
"""


def test_a_unit_that_lets_nobody_give_files_away_still_lets_it_make_a_socket(path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", CONFINED, str(path.parent)],
        capture_output=True,
        text=True,
        env=environment({}),
        check=False,
    )
    first, _, rest = ran.stdout.partition("\n")
    assert first == "confined", ran.stderr
    assert "the daemon may not give its socket to '54321'" in rest, ran.stderr


def test_a_group_that_the_daemon_is_no_member_of_is_refused(path: Path) -> None:
    with as_nobody_in_particular(path.parent):
        assert "the daemon may not give its socket to '54321' (make the daemon's user a member of it)" in refusal(
            path, "54321"
        )
        assert not connects(path)


@contextmanager
def as_nobody_in_particular(home: Path) -> Iterator[None]:
    """Be a user without rights of his own, in a directory that is his: where we are root, that is another one."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(home, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


PASSED = """
import os, socket, sys, tempfile
from reconciler.runtime.door import passed_door
directory = tempfile.mkdtemp()
sockets = []
for name in ("metrics", "other", "control"):
    one = socket.socket(socket.AF_INET if name == "metrics" else socket.AF_UNIX)
    one.bind(("127.0.0.1", 0) if name == "metrics" else f"{directory}/{name}")
    one.listen()
    sockets.append(one)
kept = [os.dup(one.fileno()) for one in sockets]
for one in sockets: one.close()
moved = [os.dup2(fd, 100 + position) for position, fd in enumerate(kept)]
for position, fd in enumerate(moved): os.dup2(fd, 3 + position)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="3")
if sys.argv[1]: os.environ["LISTEN_FDNAMES"] = sys.argv[1]
door = passed_door(os.environ)
print(os.path.basename(door.path), door.ours, door.lock, [n for n in os.environ if n.startswith("LISTEN_")])
door.close()
print(os.path.exists(door.path))
"""


@pytest.mark.parametrize(("names", "taken"), [("", "other"), ("http:x:control.socket", "control"), ("a:b", "other")])
def test_a_socket_that_systemd_passes_is_used_and_left(names: str, taken: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PASSED, names], capture_output=True, text=True, env=environment({}), check=False
    )
    assert ran.stdout == f"{taken} None None []\nTrue\n", ran.stderr


@pytest.mark.parametrize(
    "variables",
    [{}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_PID": "me", "LISTEN_FDS": "one"}, {"LISTEN_FDS": "1"}],
)
def test_what_was_passed_to_another_process_is_not_ours(variables: dict[str, str]) -> None:
    given = {name: str(os.getpid()) if value == "me" else value for name, value in variables.items()}
    assert passed_door(given) is None


# --- who may -----------------------------------------------------------------------------------------------------


def test_people_are_users_and_groups_by_name_or_number() -> None:
    people, unknown = people_named(
        ["root", "4001", "user:4002", "group:root", "group:5001", "nosuchuser", "group:nosuch"]
    )
    assert people == People(frozenset({0, 4001, 4002}), frozenset({0, 5001}))
    assert unknown == ("nosuchuser", "group:nosuch")
    assert people_named(["99999999999"])[1] == ("99999999999",)
    assert group_number("root") == 0


@pytest.mark.parametrize(
    ("uid", "groups", "right"),
    [
        (0, {0}, Right.OPERATE),
        (77, {1}, Right.OPERATE),
        (10, {1}, Right.OPERATE),
        (11, {1, 20}, Right.OPERATE),
        (12, {1}, Right.READ),
        (13, {30}, Right.READ),
        (12, {20}, Right.OPERATE),
        (14, {1}, None),
    ],
)
def test_who_may_do_what(uid: int, groups: set[int], right: Right | None) -> None:
    rights = Rights(People(frozenset({10}), frozenset({20})), People(frozenset({12}), frozenset({30})), own_uid=77)
    assert rights.of(Peer(1, uid, frozenset(groups))) is right


def test_a_user_without_a_name_is_called_by_number() -> None:
    assert Peer(1, 0, frozenset()).name == "root"
    assert Peer(1, 3_999_999_999, frozenset()).name == "uid 3999999999"
