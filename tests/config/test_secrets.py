"""Secrets: where they are, never what they are."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from reconciler.errors import ConfigError
from reconciler.secrets import SECRET_BYTES_MAX, Secret, looks_like_a_secret

WHERE = "config.toml: [targets.phone] auth.token"


def kept(directory: Path, value: bytes, mode: int = 0o600) -> Secret:
    path = directory / "token"
    path.write_bytes(value)
    path.chmod(mode)
    return Secret("file", str(path), WHERE)


def refused(secret: Secret) -> str:
    with pytest.raises(ConfigError) as error:
        secret.read()
    assert "S3CRET" not in str(error.value) + repr(error.value)
    return str(error.value)


def test_a_secret_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHONE_TOKEN", "S3CRET")
    assert Secret("env", "PHONE_TOKEN", WHERE).read() == "S3CRET"


def test_a_secret_is_read_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    assert kept(tmp_path, b"S3CRET \r\n").read() == "S3CRET "


def test_a_secret_is_read_from_systemds_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "phone").write_text("S3CRET", "utf-8")
    assert Secret("credential", "phone", WHERE).read() == "S3CRET"


def test_a_secret_is_read_again_each_time(tmp_path: Path) -> None:
    secret = kept(tmp_path, b"old")
    assert secret.read() == "old"
    Path(secret.name).write_bytes(b"new")
    assert secret.read() == "new"


def test_a_secret_shows_its_place_and_never_its_value(tmp_path: Path) -> None:
    secret = kept(tmp_path, b"S3CRET")
    assert secret.read() == "S3CRET"
    shown = repr(secret) + str(secret) + repr(vars(type(secret))) + repr(pickle.dumps(secret))
    assert "S3CRET" not in shown
    assert str(secret) == f"the file {tmp_path}/token"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o777])
def test_a_file_that_others_may_touch_is_refused(mode: int, tmp_path: Path) -> None:
    assert refused(kept(tmp_path, b"S3CRET", mode)) == (
        f"{WHERE}: the file {tmp_path}/token can be read by others (mode {mode:04o}) (chmod 600 {tmp_path}/token)"
    )


def test_a_file_of_root_in_the_credentials_directory_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    of_root = Secret("file", "/etc/passwd", WHERE)  # which everybody may read, and nobody but root can make such a file
    assert "can be read by others" in refused(of_root)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/etc")
    assert of_root.exposed() is None
    assert "has a line break" in refused(of_root), "it was read, and is no secret"


def test_a_file_of_anybody_else_is_refused_there_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = kept(tmp_path, b"S3CRET", 0o440)
    if os.geteuid() == 0:
        os.chown(secret.name, 65534, 65534)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert "can be read by others" in refused(secret)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"S3CRET\nS3CRET\n", "has a line break or control character in it"),
        (b"S3CRET\x00", "has a line break or control character in it"),
        (b"S3CRET\xff", "is not UTF-8 text"),
        (b"S3CRET" * SECRET_BYTES_MAX, "is longer than 65,536 bytes"),
    ],
)
def test_what_cannot_be_a_secret_is_refused(held: bytes, expected: str, tmp_path: Path) -> None:
    assert refused(kept(tmp_path, held)) == f"{WHERE}: the file {tmp_path}/token {expected}"


def test_what_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PHONE_TOKEN", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert refused(Secret("env", "PHONE_TOKEN", WHERE)).startswith(
        f"{WHERE}: the environment variable PHONE_TOKEN is not set"
    )
    assert "is not there" in refused(Secret("file", str(tmp_path / "token"), WHERE))
    assert "is not there, or is no file" in refused(Secret("file", str(tmp_path), WHERE))
    assert "systemd handed over no credentials" in refused(Secret("credential", "phone", WHERE))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert "was not handed over" in refused(Secret("credential", "phone", WHERE))


@pytest.mark.parametrize(
    "name",
    [
        "ghp_0123456789abcdefghij",
        "sk_live_4242",
        "xoxb-1",
        "eyJhbGciOiJIUzI1NiJ9",
        "aB3dE6gH9jK2mN5pQ8sT",
        "0123456789abcdef0123456789abcdef",
    ],
)
def test_what_looks_like_a_token_is_told_from_a_name(name: str) -> None:
    assert looks_like_a_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "PHONE_TOKEN",
        "RECONCILER_PRODUCTION_PHONE_TOKEN_2",
        "phone-token",
        "/run/secrets/aB3dE6gH9jK2mN5pQ8sT",
        "secrets/phone.token",
        "deadbeef",
        "phone_token_for_the_second_tenant",
    ],
)
def test_ordinary_names_are_names(name: str) -> None:
    assert not looks_like_a_secret(name)
