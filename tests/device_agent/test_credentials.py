"""Test which keys and certificates are valid, and that errors show no secret."""

from pathlib import Path

import pytest

from device_agent.credentials import Certificate, Credentials, CredentialsError
from simulator.simulated_device.device import DeviceOptions
from tests.simulator.self_signed import self_signed

WITH_KEY = "HostName=localhost;DeviceId=d1;SharedAccessKey=c2VjcmV0LWtleQ=="
WITH_CERTIFICATE = "HostName=localhost;DeviceId=d1;x509=true"
PASSPHRASE = "open sesame"


def certificate(folder: Path, *, made: str | None = None, given: str | None = None) -> Certificate:
    """Make a certificate; encrypt its key with `made` and read it with `given`."""
    files = self_signed(folder, "d1", passphrase=made).files
    return Certificate(
        certificate_file=files.certificate_file, key_file=files.key_file, passphrase=given
    )


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_a_key_or_a_certificate_is_accepted(tmp_path: Path, passphrase: str | None) -> None:
    Credentials(connection_string=WITH_KEY).check()
    made = certificate(tmp_path, made=passphrase, given=passphrase)
    Credentials(connection_string=WITH_CERTIFICATE, certificate=made).check()


def test_both_or_neither_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="a key or a certificate"):
        Credentials(connection_string=WITH_KEY, certificate=certificate(tmp_path)).check()
    with pytest.raises(CredentialsError, match="needs a certificate"):
        Credentials(connection_string=WITH_CERTIFICATE).check()


@pytest.mark.parametrize("given", [None, "", "wrong"])
def test_a_key_with_another_passphrase_is_refused_without_a_prompt(
    tmp_path: Path, given: str | None
) -> None:
    with pytest.raises(CredentialsError, match="another passphrase") as raised:
        certificate(tmp_path, made=PASSPHRASE, given=given).check()

    assert "wrong" not in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    made = certificate(tmp_path)
    made.key_file.unlink()

    with pytest.raises(CredentialsError, match=r"d1-key\.pem: No such file"):
        made.check()


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    made = certificate(tmp_path)
    other = self_signed(tmp_path, "d2").files

    with pytest.raises(CredentialsError, match="not a certificate and its key"):
        Certificate(certificate_file=made.certificate_file, key_file=other.key_file).check()


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    options = DeviceOptions(
        credentials=Credentials(
            connection_string="HostName=localhost;DeviceId=d1;SharedAccessKey=c2VjcmV0LWtleQ==",
            certificate=certificate(tmp_path, given=PASSPHRASE),
        )
    )

    assert "d1-key.pem" in repr(options)
    assert PASSPHRASE not in repr(options)
    assert "c2VjcmV0LWtleQ==" not in repr(options)
