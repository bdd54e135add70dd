"""A device's credentials: its connection string with a key, or a certificate."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from device_agent.connection_string import DeviceIdentity, read_identity


class CredentialsError(ValueError):
    """Invalid credentials; the message repeats no secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """An X.509 certificate and its private key, as PEM files."""

    certificate_file: Path
    """The certificate, PEM."""
    key_file: Path
    """The private key, PEM."""
    passphrase: str | None = field(default=None, repr=False)
    """Decrypts the private key; None if the key is not encrypted."""

    def check(self) -> None:
        """Check that the files are readable and belong together. Raises CredentialsError."""
        for file in (self.certificate_file, self.key_file):
            try:
                file.read_bytes()
            except OSError as error:
                raise CredentialsError(f"{file}: {error.strerror}") from error
        try:
            # Without a passphrase, OpenSSL would prompt for one at the terminal.
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
                self.certificate_file, self.key_file, self.passphrase or ""
            )
        except ssl.SSLError as error:
            raise CredentialsError(
                f"{self.certificate_file} and {self.key_file} are not a certificate and its key, "
                "or the key needs another passphrase"
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """How a device authenticates, and which certificate authority it trusts for its hub."""

    connection_string: str = field(repr=False)
    """The device's connection string, with a key or `x509=true`."""
    certificate: Certificate | None = None
    """The certificate for `x509=true`; None for a device with a key."""
    ca: str | None = None
    """The authorities to trust, PEM text; None means the system's."""

    @property
    def identity(self) -> DeviceIdentity:
        """The parts of the connection string that are not secret. Raises ConnectionStringError."""
        return read_identity(self.connection_string)

    def check(self) -> None:
        """Check that the device has either a key or a usable certificate.

        Raises ConnectionStringError and CredentialsError.
        """
        is_x509 = self.identity.is_x509
        if self.certificate is None and is_x509:
            raise CredentialsError("x509=true in a connection string needs a certificate")
        if self.certificate is not None and not is_x509:
            raise CredentialsError(
                "a device has a key or a certificate: with a certificate, its connection string "
                "must have x509=true instead of SharedAccessKey"
            )
        if self.certificate is not None:
            self.certificate.check()
