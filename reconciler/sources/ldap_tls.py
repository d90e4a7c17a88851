"""Finds out why a protected connection could not be made: libldap does not say."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

_START_TLS = b"1.3.6.1.4.1.1466.20037"
_ASK_FOR_TLS = (
    bytes((0x30, 7 + len(_START_TLS), 2, 1, 1, 0x77, 2 + len(_START_TLS), 0x80, len(_START_TLS))) + _START_TLS
)
_ANSWER_BYTES_MAX = 4096
NOT_AGREED = "no TLS can be agreed on"


def why_not(url: str, ca_file: Path | None, *, start_tls: bool, timeout_seconds: float) -> str:
    """Return what is wrong with the way or the certificate, in words; empty where nothing is found."""
    if ours := unusable(ca_file, None, None):
        return ours
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (389 if start_tls else 636)
    try:
        with socket.create_connection((host, port), timeout_seconds) as connection:
            if start_tls:
                connection.sendall(_ASK_FOR_TLS)
                if not connection.recv(_ANSWER_BYTES_MAX):
                    return "the server closes the connection instead of protecting it"
            context = ssl.create_default_context(cafile=ca_file)
            with context.wrap_socket(connection, server_hostname=host):
                return ""
    except ssl.SSLCertVerificationError as error:
        return f"the server's certificate is refused: {error.verify_message}"
    except ssl.SSLError as error:
        return f"{NOT_AGREED}: {error.reason or 'the server does not speak it'}"
    except socket.gaierror as error:
        return f"the name {host} is not known: {error.strerror}"
    except OSError as error:
        return f"{host} port {port}: {error.strerror or 'no answer in time'}"


def unusable(ca_file: Path | None, client_cert: Path | None, client_key: Path | None) -> str:
    """Return which of our own files cannot be used, in words; empty where they can."""
    context, name, path = ssl.create_default_context(), "ca_file", ca_file
    try:
        if ca_file is not None:
            context.load_verify_locations(ca_file)
        if client_cert is not None:
            name, path = "client_cert", client_cert
            context.load_cert_chain(client_cert, client_key, password="")  # so that nobody is asked for one
    except ssl.SSLError as error:
        return f"{name} {path} cannot be used: {(error.reason or '').replace('_', ' ').lower() or 'it is no PEM file'}"
    except OSError as error:
        return f"{name} {path} cannot be used: {error.strerror}"
    return ""
