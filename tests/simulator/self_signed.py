"""Self-signed certificates, as `openssl req -x509` creates them."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from simulator.hub.certificates import DeviceCertificate

DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SelfSigned:
    """A self-signed certificate; the thumbprints are hexadecimal."""

    files: DeviceCertificate
    sha1: str
    sha256: str


def self_signed(
    folder: Path, name: str, *, days: int = 30, passphrase: str | None = None
) -> SelfSigned:
    """Create a certificate that is valid for `days`; its key is encrypted with `passphrase`."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(key, name, days)
    files = DeviceCertificate(folder / f"{name}.pem", folder / f"{name}-key.pem")
    files.certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.key_file.write_bytes(_key_pem(key, passphrase))
    sha1, sha256 = hashes.SHA1(), hashes.SHA256()  # noqa: S303  what the registry takes
    return SelfSigned(
        files, certificate.fingerprint(sha1).hex(), certificate.fingerprint(sha256).hex()
    )


def _certificate(key: ec.EllipticCurvePrivateKey, name: str, days: int) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    until = dt.datetime.now(dt.UTC) + days * DAY
    builder = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(until - 365 * DAY)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return builder.sign(key, hashes.SHA256())


def _key_pem(key: ec.EllipticCurvePrivateKey, passphrase: str | None) -> bytes:
    encryption = (
        serialization.NoEncryption()
        if passphrase is None
        else serialization.BestAvailableEncryption(passphrase.encode())
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
