"""Devices that present a certificate instead of a token."""

import ssl
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Protocol

import pytest
import trustme
from azure.iot.device import X509, IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod
from hypothesis import given
from hypothesis import strategies as st

from simulator.connection_strings import DEVELOPMENT_KEY
from simulator.hub import HubOptions, LocalHub, tls
from simulator.hub.certificates import AUTHORITY_NAME, DeviceCertificate, issue_for_device, main
from simulator.hub.mqtt.packets import ConnAck, Connect
from tests.simulator.hub.builders import token
from tests.simulator.hub.test_mqtt_connection import Line
from tests.simulator.hub.test_with_sdks import respond_to_methods
from tests.simulator.self_signed import self_signed

REFUSED = 5
"""As a wrong key is."""


class DialSdk(Protocol):
    def __call__(self, device_id: str, made: DeviceCertificate) -> IoTHubDeviceClient: ...


class ConnackCode(Protocol):
    """The return code that a CONNECT gets, None if the handshake fails."""

    def __call__(
        self, device_id: str, made: DeviceCertificate | None, password: str = ""
    ) -> int | None: ...


@pytest.fixture
def dial_sdk(hub: LocalHub, options: HubOptions) -> Iterator[DialSdk]:
    """Connect Microsoft's device SDK with a certificate; shut it down after the test."""
    with ExitStack() as clients:

        def client(device_id: str, made: DeviceCertificate) -> IoTHubDeviceClient:
            files = X509(  # type: ignore[no-untyped-call]
                cert_file=str(made.certificate_file), key_file=str(made.key_file)
            )
            dialling = IoTHubDeviceClient.create_from_x509_certificate(
                x509=files,
                hostname=options.host_name,
                device_id=device_id,
                server_verification_cert=hub.ca_file.read_text(),
            )
            clients.callback(dialling.shutdown)
            return dialling

        yield client


def test_an_issued_certificate_is_kept_in_private(tmp_path: Path) -> None:
    made = issue_for_device(tmp_path, "a/b")
    assert made.certificate_file == tmp_path / "devices" / "a%2Fb.pem"
    assert stat.S_IMODE(made.key_file.stat().st_mode) == 0o600
    assert b"PRIVATE" not in made.certificate_file.read_bytes()
    ssl.create_default_context().load_cert_chain(made.certificate_file, made.key_file)


def test_certificates_can_be_issued_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "one", "two"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{tmp_path}/devices/one.pem {tmp_path}/devices/one-key.pem"
    assert len(lines) == 2
    assert main([str(tmp_path)]) == 2
    assert main([str(tmp_path), "x" * 65]) == 2
    assert "64" in capsys.readouterr().err


def test_the_sdk_connects_with_a_certificate_of_the_hubs_authority(
    dial_sdk: DialSdk, options: HubOptions, service: IoTHubRegistryManager
) -> None:
    service.create_device_with_certificate_authority("certified", "enabled")
    device = dial_sdk("certified", issue_for_device(options.certificates, "certified"))
    respond_to_methods(device)
    call = CloudToDeviceMethod(method_name="x", payload=1)
    assert service.invoke_device_method("certified", call).status == 200


@pytest.mark.parametrize("registered", ["primary", "secondary"])
def test_the_sdk_connects_with_a_self_signed_certificate(
    dial_sdk: DialSdk, service: IoTHubRegistryManager, tmp_path: Path, registered: str
) -> None:
    made, other = self_signed(tmp_path, "own"), "A" * 40
    primary, secondary = (made.sha1, other) if registered == "primary" else (other, made.sha256)
    service.create_device_with_x509("own", primary, secondary, "enabled")
    device = dial_sdk("own", made.files)
    respond_to_methods(device)
    device.patch_twin_reported_properties({"version": "1.2.0"})
    call = CloudToDeviceMethod(method_name="x", payload=1)
    assert service.invoke_device_method("own", call).status == 200
    assert service.get_twin("own").properties.reported["version"] == "1.2.0"


class TestOnALine:
    @pytest.fixture
    def options(self, options: HubOptions) -> HubOptions:
        return HubOptions(
            certificates=options.certificates, address=options.address, https_port=0, mqtt_port=0
        )

    @pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def connack_code(
        self, hub: LocalHub, options: HubOptions, request: pytest.FixtureRequest
    ) -> ConnackCode:
        def connect(
            device_id: str, made: DeviceCertificate | None, password: str = ""
        ) -> int | None:
            user = f"{options.host_name}/{device_id}/?api-version=2021-04-12"
            packet = Connect(client_id=device_id, user_name=user, password=password.encode())
            with suppress(ssl.SSLError, ConnectionError):
                line = Line(hub, options.address, request.param, made)
                with line.socket:
                    # In TLS 1.3 the client is done before the hub has read its certificate.
                    line.send(packet)
                    for received in line.receive():
                        assert isinstance(received, ConnAck)
                        return received.return_code
            return None

        return connect

    def test_a_certificate_of_the_authority_is_for_the_device_that_it_names(
        self,
        options: HubOptions,
        hub: LocalHub,
        service: IoTHubRegistryManager,
        connack_code: ConnackCode,
    ) -> None:
        hub.create_device("keyed")
        for device_id in ("one", "two"):
            service.create_device_with_certificate_authority(device_id, "enabled")
        of_one = issue_for_device(options.certificates, "one")
        assert connack_code("one", of_one) == 0
        assert connack_code("two", of_one) == REFUSED
        assert connack_code("one", None) == REFUSED
        assert connack_code("keyed", issue_for_device(options.certificates, "keyed")) == REFUSED

    def test_a_self_signed_certificate_is_for_the_device_that_has_its_thumbprint(
        self,
        hub: LocalHub,
        service: IoTHubRegistryManager,
        connack_code: ConnackCode,
        tmp_path: Path,
    ) -> None:
        hub.create_device("keyed")
        service.create_device_with_certificate_authority("certified", "enabled")
        own, foreign = self_signed(tmp_path, "own"), self_signed(tmp_path, "foreign")
        service.create_device_with_x509("own", own.sha1.upper(), "", "enabled")
        assert connack_code("own", own.files) == 0
        assert connack_code("own", foreign.files) == REFUSED
        assert connack_code("own", None) == REFUSED
        assert connack_code("keyed", own.files) == REFUSED
        assert connack_code("certified", self_signed(tmp_path, "certified").files) == REFUSED

    def test_a_new_thumbprint_replaces_the_old_one(
        self, service: IoTHubRegistryManager, connack_code: ConnackCode, tmp_path: Path
    ) -> None:
        old, new = self_signed(tmp_path, "old"), self_signed(tmp_path, "new")
        service.create_device_with_x509("own", old.sha1, "", "enabled")
        service.update_device_with_x509("own", "*", new.sha1, "", "enabled")
        assert connack_code("own", old.files) == REFUSED
        assert connack_code("own", new.files) == 0

    @pytest.mark.parametrize("policy", [None, "iothubowner"])
    def test_no_token_is_valid_for_a_device_with_a_certificate(
        self,
        hub: LocalHub,
        service: IoTHubRegistryManager,
        connack_code: ConnackCode,
        policy: str | None,
    ) -> None:
        host, _, key = hub.create_device("own").split(";")
        signer = DEVELOPMENT_KEY if policy else key.partition("=")[2]
        resource = f"{host.partition('=')[2]}/devices/own"
        password = token(resource, signer, expiry=time.time() + 3600, policy=policy)
        assert connack_code("own", None, password) == 0
        service.update_device_with_x509("own", "*", "A" * 40, "", "enabled")
        assert connack_code("own", None, password) == REFUSED

    def test_a_device_with_keys_may_present_a_certificate_with_its_token(
        self, hub: LocalHub, options: HubOptions, connack_code: ConnackCode, tmp_path: Path
    ) -> None:
        key = hub.create_device("keyed").partition("SharedAccessKey=")[2]
        password = token(f"{options.host_name}/devices/keyed", key, expiry=time.time() + 3600)
        assert connack_code("keyed", self_signed(tmp_path, "any").files, password) == 0

    def test_an_authority_with_the_name_of_the_hubs_is_not_trusted(
        self, service: IoTHubRegistryManager, connack_code: ConnackCode, tmp_path: Path
    ) -> None:
        service.create_device_with_certificate_authority("one", "enabled")
        leaf = trustme.CA(organization_name=AUTHORITY_NAME).issue_cert(common_name="one")
        file = tmp_path / "foreign.pem"
        leaf.private_key_and_cert_chain_pem.write_to_path(file)
        assert connack_code("one", DeviceCertificate(file, file)) == REFUSED

    def test_an_expired_certificate_fails_in_the_handshake(
        self, service: IoTHubRegistryManager, connack_code: ConnackCode, tmp_path: Path
    ) -> None:
        made = self_signed(tmp_path, "own", days=-1)
        service.create_device_with_x509("own", made.sha1, "", "enabled")
        assert connack_code("own", made.files) is None

    def test_more_certificates_than_one_context_trusts(
        self,
        service: IoTHubRegistryManager,
        connack_code: ConnackCode,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(tls, "CERTIFICATES_PER_CONTEXT", 2)
        for number in range(5):
            made = self_signed(tmp_path, f"own{number}")
            service.create_device_with_x509(f"own{number}", made.sha256, "", "enabled")
            assert [connack_code(f"own{number}", made.files) for _ in range(2)] == [0, 0]


@given(message=st.binary(max_size=40), version=st.sampled_from(ssl.TLSVersion))
def test_any_message_can_be_read(message: bytes, version: ssl.TLSVersion) -> None:
    assert tls._first_certificate(message, version) in message  # noqa: SLF001
