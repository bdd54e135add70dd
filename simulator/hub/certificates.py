"""The local hub's certificates: created once in a folder and reused while they are valid.

    ca.pem       the authority's certificate, which clients trust
    ca-key.pem   its private key (0600), kept when the hub's addresses change
    hub.pem      the hub's private key and certificate (0600)
    devices/     certificates and private keys (0600) that were issued for devices

Python 3.13 verifies strictly (RFC 5280 profile): the authority needs key usage and subject key
identifier, the hub's certificate an authority key identifier. trustme provides both.
"""

import contextlib
import datetime as dt
import fcntl
import ipaddress
import ssl
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import trustme
from cryptography import x509

from simulator.hub.tls import device_context, is_issued_by, server_context

AUTHORITY_NAME = "Fleet Rollout local hub"
MAX_COMMON_NAME = 64
_PRIVATE = 0o600
_MARGIN = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Certificates:
    """The authority and the TLS contexts of both servers."""

    ca_file: Path
    authority: x509.Certificate
    server_context: ssl.SSLContext
    """For services."""
    device_context: ssl.SSLContext
    """For devices, which may present any certificate."""


@dataclass(frozen=True, slots=True)
class DeviceCertificate:
    """Two PEM files, in the form that the device SDKs read."""

    certificate_file: Path
    key_file: Path


def certificates_in(folder: Path, names: Iterable[str]) -> Certificates:
    """Return certificates for these host names and addresses; create what is missing or expired."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = frozenset(names)
    with _lock_folder(folder):
        if not _serve(folder, wanted):
            leaf = _authority(folder).issue_cert(*sorted(wanted))
            _write(folder / "hub.pem", leaf.private_key_and_cert_chain_pem.bytes())
        # Read while the folder is locked: another hub may replace the file next.
        ca_file, hub_pem = folder / "ca.pem", (folder / "hub.pem").read_bytes()
        authority = x509.load_pem_x509_certificate(ca_file.read_bytes())
    return Certificates(ca_file, authority, server_context(hub_pem), device_context(hub_pem))


def issue_for_device(folder: Path, device_id: str) -> DeviceCertificate:
    """Create a certificate for a device of type certificateAuthority; its common name is the id.

    Raises ValueError for an id of more than 64 characters, which no common name can contain.
    """
    if not 0 < len(device_id) <= MAX_COMMON_NAME:
        raise ValueError(f"a common name has 1 to {MAX_COMMON_NAME} characters: {device_id!r}")
    devices = folder / "devices"
    devices.mkdir(parents=True, exist_ok=True)
    with _lock_folder(folder):
        leaf = _authority(folder).issue_cert(common_name=device_id)
    name = quote(device_id, safe="")
    made = DeviceCertificate(devices / f"{name}.pem", devices / f"{name}-key.pem")
    _write(made.key_file, leaf.private_key_pem.bytes())
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    _write(made.certificate_file, chain, mode=0o644)
    return made


@contextlib.contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Lock the folder, so that hubs that start at the same time agree on one authority."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _serve(folder: Path, names: frozenset[str]) -> bool:
    """Return whether the existing files can be used as they are."""
    ca = _load(folder / "ca.pem")
    hub = _load(folder / "hub.pem")
    if ca is None or hub is None or not is_issued_by(hub, ca):
        return False
    return _in_time(ca) and _in_time(hub) and names <= _names(hub)


def _authority(folder: Path) -> trustme.CA:
    certificate, key = folder / "ca.pem", folder / "ca-key.pem"
    loaded = _load(certificate)
    if loaded is not None and _in_time(loaded) and key.exists():
        with contextlib.suppress(ValueError, TypeError):
            return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    authority = trustme.CA(organization_name=AUTHORITY_NAME)
    _write(key, authority.private_key_pem.bytes())
    _write(certificate, authority.cert_pem.bytes(), mode=0o644)
    return authority


def _load(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None


def _in_time(certificate: x509.Certificate) -> bool:
    now = dt.datetime.now(dt.UTC)
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - _MARGIN


def _names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return frozenset()
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    return frozenset(extension.value.get_values_for_type(x509.DNSName)) | {
        str(ipaddress.ip_address(str(address))) for address in addresses
    }


def _write(path: Path, content: bytes, *, mode: int = _PRIVATE) -> None:
    """Write a file as a whole; other users can read no part of it meanwhile."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=mode)
    temporary.write_bytes(content)
    temporary.replace(path)


def main(arguments: list[str]) -> int:
    """Run `python -m simulator.hub.certificates FOLDER DEVICE_ID...`. Return 2 for wrong usage."""
    if len(arguments) < 2:  # noqa: PLR2004  the folder and an id
        print("usage: python -m simulator.hub.certificates FOLDER DEVICE_ID...", file=sys.stderr)
        return 2
    folder, *device_ids = arguments
    for device_id in device_ids:
        try:
            made = issue_for_device(Path(folder), device_id)
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
        print(f"{made.certificate_file} {made.key_file}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
