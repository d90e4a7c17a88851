"""Opens the Unix socket that people speak to the daemon through: a stale file is replaced, a living daemon's is not."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import ConfigError, Problem
from reconciler.runtime.peers import group_number, peer_of

MODE = 0o660
BACKLOG = 128
PATH_BYTES_MAX = 107
"""What fits into the kernel's sun_path with its end (unix(7))."""
_FIRST_PASSED_FD = 3
_WHERE = "[control] socket"


@dataclass(slots=True)
class Door:
    """A socket that listens. Close it, and what was made for it is gone."""

    socket: socket.socket
    path: str
    group: int
    """The group that the file belongs to."""
    ours: tuple[int, int] | None = None
    """Device and number of the file that we made; None: a service manager made it, and takes it away."""
    lock: int | None = None

    def close(self) -> None:
        """Listen no more. Removes the file only where it is still the one that we made."""
        self.socket.close()
        if self.ours is not None:
            try:
                found = Path(self.path).lstat()
                if (found.st_dev, found.st_ino) == self.ours:
                    Path(self.path).unlink()
            except OSError:
                pass  # somebody else took it away
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None


def passed_door(environment: MutableMapping[str, str]) -> Door | None:
    """Return the listening Unix socket that a service manager passed (sd_listen_fds(3)), None where it passed none.

    The variables that say so are taken out, so that no child believes that they mean it. Other sockets are left alone.
    """
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return None
    try:
        count = int(environment.get("LISTEN_FDS", "0"))
    except ValueError:
        return None
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environment.pop(name, None)
    found = [(fd, names[i] if i < len(names) else "") for i in range(count) if _listens(fd := _FIRST_PASSED_FD + i)]
    if not found:
        return None
    fd = next((fd for fd, name in found if name.startswith("control")), found[0][0])
    passed = socket.socket(fileno=fd)
    passed.set_inheritable(False)
    passed.setblocking(False)
    path = str(passed.getsockname())
    return Door(passed, path, Path(path).stat().st_gid)


def _listens(fd: int) -> bool:
    try:
        with socket.socket(fileno=os.dup(fd)) as passed:
            return passed.family == socket.AF_UNIX and bool(passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False


def open_door(path: Path, group: str | None) -> Door:
    """Listen at a path, mode 0660, for the daemon's own group or the one that is named.

    A file that a dead daemon left is replaced. Raises ConfigError where a living one listens there, where something
    else is there, and where the path or the group cannot be used.
    """
    if len(os.fsencode(path)) > PATH_BYTES_MAX:
        raise _refusal(
            path, f"is longer than {PATH_BYTES_MAX} bytes", "name a shorter one, such as /run/…/control.sock"
        )
    gid = -1 if group is None else _group(group)
    lock = _locked(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _make_room(path)
        listening.setblocking(False)
        listening.bind(os.fspath(path))
        made = path.lstat()
        # nobody can connect before we listen, so that the file is never open to others
        if gid not in (-1, made.st_gid):
            os.chown(path, -1, gid)
        path.chmod(MODE)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        os.close(lock)
        # EINVAL: a container without root has no such group at all
        if error.errno in (errno.EPERM, errno.EINVAL) and group is not None:
            problem = f"the daemon may not give its socket to {group!r}"
            raise ConfigError(Problem("[control] group", problem, "make the daemon's user a member of it")) from None
        raise _cannot_be_made(path, error) from None
    except ConfigError:
        listening.close()
        os.close(lock)
        raise
    return Door(listening, os.fspath(path), made.st_gid if gid == -1 else gid, (made.st_dev, made.st_ino), lock)


def _group(name: str) -> int:
    gid = group_number(name)
    if gid is None:
        raise ConfigError(
            Problem("[control] group", f"this machine has no group {name!r}", "`getent group` lists them")
        )
    return gid


def _locked(path: Path) -> int:
    """Take the lock beside the socket. The file stays: two processes must not lock two files of one name."""
    beside = path.with_name(f"{path.name}.lock")
    try:
        lock = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _cannot_be_made(beside, error) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise _refusal(path, "another daemon listens there", "stop it, or name another socket") from None
    return lock


def _make_room(path: Path) -> None:
    """Take away what a dead daemon left."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise _refusal(path, "is there already, and is no socket", "move it away, or name another socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(1.0)
        try:
            asking.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except TimeoutError:
            who = ""
        else:
            who = f" (process {peer_of(asking).pid})"
    raise _refusal(path, f"another process{who} listens there", "stop it, or name another socket")


def _cannot_be_made(path: Path, error: OSError) -> ConfigError:
    return _refusal(path, f"cannot be made ({error.strerror})", "its directory must be there, and writable")


def _refusal(path: Path, problem: str, hint: str) -> ConfigError:
    return ConfigError(Problem(f"{_WHERE} {path}", problem, hint))
