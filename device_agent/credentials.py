"""The certificate that a device has in place of a key, and whether either is there as it should."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from device_agent.connection_string import DeviceIdentity, read_identity


class CredentialsError(ValueError):
    """Credentials that no device can use; the message repeats no secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """PEM files; `passphrase` is what the key's is encrypted with."""

    certificate_file: Path
    key_file: Path
    passphrase: str | None = field(default=None, repr=False)

    def check(self) -> None:
        """Raises CredentialsError for files that cannot be read, or do not belong together."""
        for file in (self.certificate_file, self.key_file):
            try:
                file.read_bytes()
            except OSError as error:
                raise CredentialsError(f"{file}: {error.strerror}") from error
        try:
            # Without a passphrase, OpenSSL would ask for it at the terminal.
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
    """Who a device is, what it shows for it, and which authority of a hub it trusts."""

    connection_string: str = field(repr=False)
    certificate: Certificate | None = None
    ca: str | None = None
    """PEM text; None means the system's authorities."""

    @property
    def identity(self) -> DeviceIdentity:
        """Raises ConnectionStringError."""
        return read_identity(self.connection_string)

    def check(self) -> None:
        """Raises ConnectionStringError, and CredentialsError unless there is a key or a usable
        certificate, and not both.
        """
        is_x509 = self.identity.is_x509
        if self.certificate is None and is_x509:
            raise CredentialsError("x509=true in a connection string needs a certificate")
        if self.certificate is not None and not is_x509:
            raise CredentialsError(
                "a device has a key or a certificate: with a certificate, its connection string "
                "has x509=true in place of SharedAccessKey"
            )
        if self.certificate is not None:
            self.certificate.check()
