"""The payload of the direct method names what is known of the firmware."""

from functions.rollouts.device import device_method
from functions.rollouts.model.firmware import Firmware
from tests.functions.builders import ROLLOUT_ID, make_rollout, make_update

URI = "https://packages.example/fw.bin"
SHORT = {"fwPackageUri": URI, "rolloutId": ROLLOUT_ID, "attempt": 2, "version": "2.4.0"}


def test_what_is_not_known_of_the_firmware_is_left_out() -> None:
    rollout = make_rollout(firmware=Firmware(version="2.4.0", package_uri=URI))
    assert device_method.payload(rollout, make_update(attempt=2)) == SHORT


def test_a_device_is_told_all_that_is_known_of_the_firmware() -> None:
    firmware = Firmware(
        version="2.4.0", package_uri=URI, sha256="0" * 64, size_bytes=1, manifest="signed"
    )
    payload = device_method.payload(make_rollout(firmware=firmware), make_update(attempt=2))
    assert payload == SHORT | {"sha256": "0" * 64, "sizeBytes": 1, "manifest": "signed"}
