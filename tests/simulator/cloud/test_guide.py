"""The text that `up` prints for a newcomer."""

import shlex
import sys
from pathlib import Path

import pytest

from simulator.cloud.guide import SAMPLE_FIRMWARE, guide
from simulator.cloud.options import CloudOptions, UpOptions


def commands(text: str, start: str) -> list[list[str]]:
    """Return the words of every shell command in `text` that begins with `start`."""
    paragraphs = text.split("\n\n")
    return [shlex.split(paragraph) for paragraph in paragraphs if paragraph.startswith(start)]


def test_the_guide_has_the_addresses_of_the_options() -> None:
    options = CloudOptions(host_port=7171, address="127.0.0.2")

    text = guide(UpOptions(cloud=options), ["thermostat-1"], SAMPLE_FIRMWARE)

    for part in (
        "http://127.0.0.2:7171/api",
        options.service_connection_string,
        options.azurite.connection_string,
        "HostName=127.0.0.2;DeviceId=<id>;SharedAccessKey=<key>",
        str(options.logs),
    ):
        assert part in text


def test_the_commands_of_the_guide_are_whole_shell_commands() -> None:
    text = guide(UpOptions(cloud=CloudOptions()), ["thermostat-1"], SAMPLE_FIRMWARE)

    create, wait = commands(text, "curl")
    assert '"deviceIds": ["thermostat-1"]' in create[-1]
    assert wait[-1].endswith("?waitSeconds=60")


def test_the_guide_s_rollout_is_for_all_devices_if_there_are_several() -> None:
    text = guide(UpOptions(cloud=CloudOptions()), ["thermostat-1", "thermostat-2"], SAMPLE_FIRMWARE)

    create, _ = commands(text, "curl")
    assert '"target": {"condition": "is_defined(deviceId)"}' in create[-1]


def test_the_commands_of_the_guide_work_in_a_path_with_a_space(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/home/ada/fleet rollout/bin/python")
    cloud = CloudOptions(local_directory=Path("/home/ada/fleet rollout/.local"))
    text = guide(UpOptions(cloud=cloud), ["thermostat-1"], SAMPLE_FIRMWARE)

    (device,) = commands(text, "'/home/ada")
    assert device[:3] == ["/home/ada/fleet rollout/bin/python", "-m", "simulator"]
    assert device[device.index("--ca") + 1] == "/home/ada/fleet rollout/.local/ca.pem"
    (watch,) = commands(text, "export FLEET_API")
    assert "/home/ada/fleet rollout/bin/fleet" in watch


def test_the_guide_says_that_no_device_is_registered() -> None:
    text = guide(UpOptions(cloud=CloudOptions(), devices=0), [], SAMPLE_FIRMWARE)

    assert "No devices are registered" in text
