"""A hub for each test that asks for one: `pytest_plugins = ["simulator.hub.pytest_plugin"]`.

Override `local_hub_options` for a tier, faults or a state file. Source for the form: pytest's
documentation, "Requiring/loading plugins in a test module or conftest file".
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.hub.local_hub import LocalHub
from simulator.hub.loopback import free_address
from simulator.hub.options import HubOptions


@pytest.fixture(scope="session")
def local_hub_certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of certificates, made once per run."""
    return tmp_path_factory.mktemp("local-hub-certificates")


@pytest.fixture
def local_hub_options(local_hub_certificates: Path) -> HubOptions:
    """On an address of its own, where the device SDKs find port 8883 free."""
    return HubOptions(
        certificates=local_hub_certificates, address=free_address(), https_port=0, mqtt_port=8883
    )


@pytest.fixture
def local_hub(local_hub_options: HubOptions, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    """A hub that listens for the length of the test, and that the test's process trusts.

    Only that hub: the variables by which Python finds authorities name its own alone. Processes
    that the test starts inherit them, Node's too.
    """
    with LocalHub(local_hub_options) as hub:
        for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"):
            monkeypatch.setenv(variable, str(hub.ca_file))
        yield hub
