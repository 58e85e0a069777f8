"""Certificates: whom to trust, by the environment or the system, and why a server is not trusted.

Files of one's own are named by ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``, or else by ``REQUESTS_CA_BUNDLE``.
Left out: client certificates, and switching the check off.
"""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path

from pagefault.connections import ConnectionFailure

__all__ = ["CertificateFault", "tls_context", "tls_failure"]

_TRUST = "if you trust it, set SSL_CERT_FILE to a file with its certificate"
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+", re.IGNORECASE)
# By the number that OpenSSL gives the reason: the reason, and the fix.
_REASONS = {
    9: ("its certificate is not valid yet", "check the clocks of both machines"),
    10: ("its certificate has expired", "have it renewed, or check the clock of this machine"),
    18: ("its certificate is self-signed", _TRUST),
    19: ("its certificate is signed by an authority that this machine does not trust", _TRUST),
    20: ("its certificate is signed by an authority that this machine does not trust", _TRUST),
    21: ("its certificate is signed by an authority that this machine does not trust", _TRUST),
    23: ("its certificate was revoked", "check the address"),
    62: ("its certificate is for another host", "check the address"),
    64: ("its certificate is for another host", "check the address, or write the host's name"),
}
_NO_TLS = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "RECORD_LAYER_FAILURE",
    "UNKNOWN_PROTOCOL",
    "PACKET_LENGTH",
)


class CertificateFault(Exception):
    """A variable that names certificates which cannot be used."""

    def __init__(self, variable: str, path: str, fault: str) -> None:
        fix = "correct the variable, or unset it"
        self.failure = ConnectionFailure(f"{variable} names {path}, which {fault}", fix)
        super().__init__(self.failure.reason)


def tls_context() -> ssl.SSLContext:
    """Return the context of connections; raises ``CertificateFault``."""
    named = {name: os.environ.get(name, "").strip() for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
    if not any(named.values()):
        named = {"REQUESTS_CA_BUNDLE": os.environ.get("REQUESTS_CA_BUNDLE", "").strip()}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    chosen = {name: value for name, value in named.items() if value}
    if not chosen:
        from httpx2 import create_ssl_context

        return create_ssl_context(trust_env=False)
    for name, value in chosen.items():
        if name == "SSL_CERT_DIR" or (name == "REQUESTS_CA_BUNDLE" and Path(value).is_dir()):
            _add_folders(context, name, value)
        else:
            _add_file(context, name, value)
    return context


def _add_file(context: ssl.SSLContext, name: str, value: str) -> None:
    try:
        if Path(value).is_dir():
            raise CertificateFault(name, value, "is a folder")
        context.load_verify_locations(cafile=value)
    except FileNotFoundError:
        raise CertificateFault(name, value, "does not exist") from None
    except ssl.SSLError:
        raise CertificateFault(name, value, "holds no certificates") from None
    except OSError as error:
        raise CertificateFault(name, value, f"cannot be read ({error.strerror or error})") from None
    except ValueError:  # a path with a null byte
        raise CertificateFault(name, repr(value), "is no path") from None


def _add_folders(context: ssl.SSLContext, name: str, value: str) -> None:
    """Add the folders of a list; each certificate is in a file that has its hash as the name."""
    folders = [folder for folder in value.split(os.pathsep) if Path(folder).is_dir()]
    if not folders:
        raise CertificateFault(name, value, "is no folder" if Path(value).exists() else "does not exist")
    try:
        hashed = any(_HASHED.fullmatch(file) for folder in folders for file in os.listdir(folder))
    except OSError as error:
        raise CertificateFault(name, value, f"cannot be read ({error.strerror or error})") from None
    if not hashed:
        raise CertificateFault(name, value, "holds no certificates (named by `openssl rehash`)")
    context.load_verify_locations(capath=os.pathsep.join(folders))


def tls_failure(error: ssl.SSLError) -> ConnectionFailure:
    """Return why a server's certificate was not accepted, or why there is no secure connection."""
    if isinstance(error, ssl.SSLCertVerificationError):
        code, message = error.verify_code, error.verify_message
        return ConnectionFailure(*_REASONS.get(code, (f"its certificate is refused ({message})", _TRUST)))
    if any(mark in (error.reason or "") for mark in _NO_TLS):
        return ConnectionFailure("it does not speak TLS at this port", "write http:// if that is meant")
    return ConnectionFailure(f"TLS failed ({error.reason or error})", "check the address", may_pass=True)
