"""Devices that show a certificate of the local authority instead of a token."""

import ssl
import stat
from pathlib import Path

import pytest
import trustme
from azure.iot.device import X509, IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod

from simulator.hub import HubOptions, LocalHub
from simulator.hub.certificates import DeviceCertificate, issue_for_device, main
from simulator.hub.mqtt.packets import ConnAck, Connect
from tests.simulator.hub.test_mqtt_connection import Line
from tests.simulator.hub.test_with_sdks import answering


def test_an_issued_certificate_is_kept_in_private(tmp_path: Path) -> None:
    made = issue_for_device(tmp_path, "a/b")
    assert made.certificate_file == tmp_path / "devices" / "a%2Fb.pem"
    assert stat.S_IMODE(made.key_file.stat().st_mode) == 0o600
    assert b"PRIVATE" not in made.certificate_file.read_bytes()
    ssl.create_default_context().load_cert_chain(made.certificate_file, made.key_file)


def test_certificates_can_be_had_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "one", "two"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{tmp_path}/devices/one.pem {tmp_path}/devices/one-key.pem"
    assert len(lines) == 2
    assert main([str(tmp_path)]) == 2
    assert main([str(tmp_path), "x" * 65]) == 2
    assert "64" in capsys.readouterr().err


def test_the_sdk_connects_with_a_certificate(
    hub: LocalHub, options: HubOptions, service: IoTHubRegistryManager
) -> None:
    service.create_device_with_certificate_authority("certified", "enabled")
    made = issue_for_device(options.certificates, "certified")
    device = IoTHubDeviceClient.create_from_x509_certificate(
        x509=X509(  # type: ignore[no-untyped-call]
            cert_file=str(made.certificate_file), key_file=str(made.key_file)
        ),
        hostname=options.host_name,
        device_id="certified",
        server_verification_cert=hub.ca_file.read_text(),
    )
    try:
        answering(device)
        call = CloudToDeviceMethod(method_name="x", payload=1)
        assert service.invoke_device_method("certified", call).status == 200
    finally:
        device.shutdown()


class TestRefused:
    @pytest.fixture
    def options(self, options: HubOptions) -> HubOptions:
        return HubOptions(
            certificates=options.certificates, address=options.address, https_port=0, mqtt_port=0
        )

    def dial(self, hub: LocalHub, options: HubOptions, made: DeviceCertificate | None) -> Line:
        return Line(hub, options.address, ssl.TLSVersion.TLSv1_2, made)

    def answer(self, line: Line, options: HubOptions, device_id: str) -> int:
        user = f"{options.host_name}/{device_id}/?api-version=2021-04-12"
        line.send(Connect(client_id=device_id, user_name=user))
        [packet] = line.receive()
        line.socket.close()
        assert isinstance(packet, ConnAck)
        return packet.return_code

    def test_another_devices_certificate_none_or_a_device_with_keys(
        self, hub: LocalHub, options: HubOptions, service: IoTHubRegistryManager
    ) -> None:
        hub.create_device("keyed")
        for device_id in ("one", "two"):
            service.create_device_with_certificate_authority(device_id, "enabled")
        of_one = issue_for_device(options.certificates, "one")
        of_keyed = issue_for_device(options.certificates, "keyed")
        assert self.answer(self.dial(hub, options, of_one), options, "one") == 0
        assert self.answer(self.dial(hub, options, of_one), options, "two") == 5
        assert self.answer(self.dial(hub, options, None), options, "one") == 5
        assert self.answer(self.dial(hub, options, of_keyed), options, "keyed") == 5

    def test_a_foreign_certificate_fails_in_the_handshake(
        self, hub: LocalHub, options: HubOptions, tmp_path: Path
    ) -> None:
        leaf = trustme.CA().issue_cert(common_name="one")
        file = tmp_path / "foreign.pem"
        leaf.private_key_and_cert_chain_pem.write_to_path(file)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            self.dial(hub, options, DeviceCertificate(file, file))
