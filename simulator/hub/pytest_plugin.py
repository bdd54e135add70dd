"""The fixture `local_hub`: `pytest_plugins = ["simulator.hub.pytest_plugin"]`.

Override `local_hub_options` for a tier, faults or a state file. Source: pytest's documentation,
"Requiring/loading plugins in a test module or conftest file".
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.hub.local_hub import LocalHub
from simulator.hub.loopback import free_address
from simulator.hub.options import HubOptions


@pytest.fixture(scope="session")
def local_hub_certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of certificates, created once per run."""
    return tmp_path_factory.mktemp("local-hub-certificates")


@pytest.fixture
def local_hub_options(local_hub_certificates: Path) -> HubOptions:
    """Return options with an own address, where port 8883 is free for the device SDKs."""
    return HubOptions(
        certificates=local_hub_certificates, address=free_address(), https_port=0, mqtt_port=8883
    )


@pytest.fixture
def local_hub(local_hub_options: HubOptions, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    """Run a hub for the length of the test. The test's process trusts its certificate.

    It trusts no other server: the variables for Python's and Node's authorities name the hub's
    authority only. Processes that the test starts inherit them.
    """
    with LocalHub(local_hub_options) as hub:
        for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"):
            monkeypatch.setenv(variable, str(hub.ca_file))
        yield hub
