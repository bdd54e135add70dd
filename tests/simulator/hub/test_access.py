"""SAS tokens and policies: which token is valid for which operation."""

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.connection_strings import DEVELOPMENT_KEY
from simulator.hub.model import sas
from simulator.hub.model.access import Permission, policy_key
from simulator.hub.model.errors import ErrorCode, HubError
from simulator.hub.model.hub import Hub
from tests.simulator.hub.builders import NOW, make_device, make_hub, token

TWIN = ("twins", "one")


def service_passes(text: str, needed: Permission = Permission.SERVICE_CONNECT) -> bool:
    try:
        make_hub().access.check_service(text, TWIN, needed, NOW)
    except HubError as error:
        return error.code is not ErrorCode.IOT_HUB_UNAUTHORIZED_ACCESS
    return True


def device_passes(hub: Hub, text: str, device_id: str = "one") -> bool:
    try:
        hub.access.check_device(text, hub.registry.get(device_id), NOW)
    except HubError as error:
        return error.code is not ErrorCode.IOT_HUB_UNAUTHORIZED_ACCESS
    return True


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8443", "127.0.0.1:1", "[::1]:8443"])
def test_every_name_of_the_hub_is_accepted_with_or_without_port(host: str) -> None:
    assert service_passes(token(host, DEVELOPMENT_KEY, policy="iothubowner"))


@pytest.mark.parametrize("host", ["example.com", "localhost.example.com", "localhost:x", ""])
def test_a_foreign_host_is_refused(host: str) -> None:
    assert not service_passes(token(host, DEVELOPMENT_KEY, policy="iothubowner"))


def test_a_token_is_valid_until_the_second_it_expires() -> None:
    def of(expiry: float) -> str:
        return token("localhost", DEVELOPMENT_KEY, policy="iothubowner", expiry=expiry)

    assert service_passes(of(NOW + 1))
    assert not service_passes(of(NOW))


def test_fields_come_in_any_order_and_the_resource_may_be_unencoded() -> None:
    signature = sas.signature("localhost", int(NOW) + 60, DEVELOPMENT_KEY).replace("+", "%2B")
    assert service_passes(
        f"SharedAccessSignature sr=localhost&sig={signature}&skn=iothubowner&se={int(NOW) + 60}"
    )


@pytest.mark.parametrize(
    ("policy", "permitted"),
    [
        ("iothubowner", set(Permission)),
        ("service", {Permission.SERVICE_CONNECT}),
        ("device", {Permission.DEVICE_CONNECT}),
        ("registryRead", {Permission.REGISTRY_READ}),
        ("registryReadWrite", {Permission.REGISTRY_READ, Permission.REGISTRY_WRITE}),
    ],
)
def test_each_policy_has_its_documented_permissions(
    policy: str, permitted: set[Permission]
) -> None:
    text = token("localhost", policy_key(DEVELOPMENT_KEY, policy), policy=policy)
    assert {needed for needed in Permission if service_passes(text, needed)} == permitted


def test_policies_have_keys_of_their_own() -> None:
    assert not service_passes(token("localhost", DEVELOPMENT_KEY, policy="service"))
    assert not service_passes(token("localhost", DEVELOPMENT_KEY, policy="unknown"))


def test_a_scope_covers_whole_segments_below_it() -> None:
    def of(resource: str) -> str:
        return token(resource, DEVELOPMENT_KEY, policy="iothubowner")

    assert service_passes(of("localhost/twins"))
    assert service_passes(of("localhost/twins/one"))
    assert not service_passes(of("localhost/twins/on"))
    assert not service_passes(of("localhost/devices"))


def test_either_device_key_is_valid_for_its_own_device_only() -> None:
    hub = make_hub()
    device, other = make_device(hub, "one"), make_device(hub, "two")
    for key in (device.authentication.primary_key, device.authentication.secondary_key):
        assert device_passes(hub, token("localhost/devices/one", key))
        assert not device_passes(hub, token("localhost/devices/two", key), "two")
        for wider in ("localhost", "localhost/devices"):
            assert not device_passes(hub, token(wider, key))
    foreign = token("localhost/devices/one", other.authentication.primary_key)
    assert not device_passes(hub, foreign)
    assert not service_passes(token("localhost", device.authentication.primary_key))


def test_a_policy_with_device_connect_is_valid_for_every_device() -> None:
    hub = make_hub()
    make_device(hub, "one")
    key = policy_key(DEVELOPMENT_KEY, "device")
    assert device_passes(hub, token("localhost/devices", key, policy="device"))
    service = policy_key(DEVELOPMENT_KEY, "service")
    assert not device_passes(hub, token("localhost/devices", service, policy="service"))


def test_a_device_id_with_a_percent_sign_is_not_decoded_twice() -> None:
    hub = make_hub()
    device = make_device(hub, "a%2Fb")
    key = device.authentication.primary_key
    assert device_passes(hub, token("localhost/devices/a%2Fb", key), "a%2Fb")


@given(st.text(alphabet=string.printable, max_size=80))
def test_text_that_is_not_a_token_is_refused(text: str) -> None:
    assert not service_passes(text)
    assert not service_passes(sas.PREFIX + text)


@given(st.binary(min_size=16, max_size=16), st.text(min_size=1), st.integers(0, 2**40))
def test_a_signature_is_valid_for_its_own_key_resource_and_expiry_only(
    secret: bytes, resource: str, expiry: int
) -> None:
    key = base64.b64encode(secret).decode()
    made = sas.parse(token(resource.replace("\ud800", ""), key, expiry=expiry))
    assert sas.is_signed_by(made, key)
    assert not sas.is_signed_by(made, DEVELOPMENT_KEY)
