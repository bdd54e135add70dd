"""The text that `up` prints for a newcomer."""

import shlex

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


def test_the_guide_says_that_no_device_is_registered() -> None:
    text = guide(UpOptions(cloud=CloudOptions(), devices=0), [], SAMPLE_FIRMWARE)

    assert "No devices are registered" in text
