"""Test the command `device` in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simulator.__main__ import app
from simulator.hub import LocalHub
from simulator.paths import REPOSITORY
from tests.simulator.self_signed import self_signed
from tests.simulator.simulated_device.fleet_owner import FleetOwner

SECONDS = 20
RUNNER = CliRunner()


@contextmanager
def device_process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", "device", *arguments],
        cwd=REPOSITORY,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_command_runs_an_update_and_stops_on_sigterm(
    hub: LocalHub, owner: FleetOwner, device_id: str
) -> None:
    string = hub.create_device(device_id)
    arguments = ("--connection-string", string, "--ca", str(hub.ca_file), "--stage-seconds", "0.05")
    with device_process(*arguments) as process:
        owner.wait_for(device_id, "standBy")
        payload = {"fwPackageUri": "test.com", "rolloutId": "r1", "attempt": 1, "version": "2.4.0"}
        assert owner.invoke(device_id, payload)[0] == 200
        owner.wait_for(device_id, "completed")

        process.terminate()
        output, _ = process.communicate(timeout=SECONDS)

    assert process.returncode == 0
    assert f"{device_id} downloading 2.4.0 (rollout r1, attempt 1)" in output
    assert output.splitlines()[-1].endswith(f"{device_id} stopped")
    assert string.partition("SharedAccessKey=")[2] not in output


@pytest.mark.parametrize(
    "string",
    [
        "HostName=localhost",
        "HostName=localhost;DeviceId=d1;SharedAccessKey=not base64!",
        "HostName=localhost:8883;DeviceId=d1;SharedAccessKey=bm90LWEtc2VjcmV0",
    ],
)
def test_an_invalid_connection_string_is_wrong_usage(string: str) -> None:
    ended = RUNNER.invoke(app, ["device", "--connection-string", string])

    assert ended.exit_code == 2
    assert "error: " in ended.output
    assert "not base64!" not in ended.output


def test_a_certificate_is_read_from_the_environment(
    hub: LocalHub,
    owner: FleetOwner,
    device_id: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = self_signed(tmp_path, device_id, passphrase="open sesame")
    owner.register_certificate(device_id, made.sha256)
    monkeypatch.setenv("IOTHUB_DEVICE_X509_CERT", str(made.files.certificate_file))
    monkeypatch.setenv("IOTHUB_DEVICE_X509_KEY", str(made.files.key_file))
    monkeypatch.setenv("IOTHUB_DEVICE_X509_PASSWORD", "open sesame")
    host = hub.create_device(f"{device_id}-keyed").partition(";")[0]
    string = f"{host};DeviceId={device_id};x509=true"
    with device_process("--connection-string", string, "--ca", str(hub.ca_file)) as process:
        owner.wait_for(device_id, "standBy")
        process.terminate()
        process.communicate(timeout=SECONDS)

    assert process.returncode == 0


@pytest.mark.parametrize(
    ("string", "arguments", "said"),
    [
        ("x509=true", (), "needs a certificate"),
        ("x509=true", ("--certificate", "c.pem"), "go together"),
        ("x509=true", ("--certificate", "c.pem", "--certificate-key", "k.pem"), "c.pem: No such"),
        (
            "SharedAccessKey=bm90LWEtc2VjcmV0",
            ("--certificate", "c.pem", "--certificate-key", "k.pem"),
            "a key or a certificate",
        ),
    ],
)
def test_invalid_credentials_are_wrong_usage(
    string: str, arguments: tuple[str, ...], said: str
) -> None:
    whole = f"HostName=localhost;DeviceId=d1;{string}"
    ended = RUNNER.invoke(app, ["device", "--connection-string", whole, *arguments])

    assert ended.exit_code == 2
    assert said in ended.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fault", "corrupt"], "--fault needs --directory"),
        (["--signed-only"], "--signed-only needs --directory"),
        (["--directory", "{}", "--tutorial"], "--tutorial cannot be combined with --directory"),
        (["--directory", "{}", "--signed-only"], "keys to trust"),
        (["--directory", "{}", "--fault", "rust"], "invalid fault 'rust'"),
        (["--directory", "/proc/nowhere"], "error: "),
    ],
)
def test_options_of_the_other_kind_are_refused(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    string = "HostName=localhost;DeviceId=d1;SharedAccessKey=bm90LWEtc2VjcmV0"
    given = [argument.format(tmp_path) for argument in arguments]
    ended = RUNNER.invoke(app, ["device", "--connection-string", string, *given])
    assert ended.exit_code == 2
    assert message in ended.output
