"""The certificate that a device has in place of a key, and whether either is there as it should."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from simulator.device.identity import Identity


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


def check_credentials(identity: Identity, certificate: Certificate | None) -> None:
    """Raises CredentialsError unless there is a key or a usable certificate, and not both."""
    if certificate is None and identity.is_x509:
        raise CredentialsError(
            "x509=true in a connection string needs --certificate and --certificate-key"
        )
    if certificate is not None and not identity.is_x509:
        raise CredentialsError(
            "a device has a key or a certificate: with a certificate, its connection string has "
            "x509=true in place of SharedAccessKey"
        )
    if certificate is not None:
        certificate.check()
