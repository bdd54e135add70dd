"""Taken ports are found before anything starts, with messages that say what to do."""

import socket
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest

from simulator.cloud import ports
from simulator.cloud.errors import PortTakenError
from simulator.cloud.options import CloudOptions
from simulator.hub.loopback import free_address


@pytest.fixture
def options() -> CloudOptions:
    return CloudOptions(address=free_address())


@pytest.fixture
def taken(options: CloudOptions) -> Iterator[int]:
    with socket.create_server((options.address, 0)) as server:
        yield server.getsockname()[1]


def with_port(options: CloudOptions, port: ports.Port, number: int) -> CloudOptions:
    changed: dict[str, Any] = {port.field: number}
    return replace(options, **changed)


def test_free_ports_pass(options: CloudOptions) -> None:
    ports.check(options)


@pytest.mark.parametrize("port", ports.PORTS, ids=lambda port: port.field)
def test_a_taken_port_is_named_with_its_flag_and_variable(
    options: CloudOptions, taken: int, port: ports.Port
) -> None:
    with pytest.raises(PortTakenError) as raised:
        ports.check(with_port(options, port, taken))

    message = str(raised.value)
    assert str(taken) in message
    assert port.flag in message
    assert port.listener.variable in message


def test_every_taken_port_is_named_at_once(options: CloudOptions, taken: int) -> None:
    with pytest.raises(PortTakenError) as raised:
        ports.check(replace(options, host_port=taken, table_port=taken))

    assert len(str(raised.value).splitlines()) == 2


def test_the_message_for_the_fixed_device_port_proposes_another_address(
    options: CloudOptions,
) -> None:
    with (
        socket.create_server((options.address, 8883)),
        pytest.raises(PortTakenError, match="--address"),
    ):
        ports.check(options)


def test_every_port_of_the_options_is_checked() -> None:
    named = {field.name for field in fields(CloudOptions) if field.name.endswith("_port")}

    assert {port.field for port in ports.PORTS} == named
