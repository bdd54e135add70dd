"""Test that devices get links of their own to packages in private storage, which stay secret."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.outbound.port import PackageLinkError
from functions.rollouts.model.method_outcome import DeviceOffline, MethodResponse, Responded
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Strategy
from functions.use_cases import package_links
from functions.use_cases.package_links import Signed
from tests.functions.builders import make_rollout
from tests.functions.use_cases.world import NOON, World, devices

URI = "https://packages.example/fw.bin"
SECRET = "bm90LXNob3du"
REFUSED = PackageLinkError("The app has no role on the account. Assign one.", is_refusal=True)
DOWN = PackageLinkError("The storage responds 503.", is_refusal=False)


class Links:
    """Make links with a number, or raise an error."""

    def __init__(self, error: PackageLinkError | None = None) -> None:
        self.made: list[timedelta] = []
        self.error = error

    def make(self, uri: str, valid_for: timedelta) -> str:
        if self.error is not None:
            raise self.error
        self.made.append(valid_for)
        return f"{uri}?sp=r&sig={SECRET}{len(self.made)}"


def sign(links: Links | None, payloads: Mapping[str, dict[str, Any]]) -> Signed:
    services = replace(World(devices(1)).services, package_links=links)
    rollout = make_rollout(strategy=Strategy(timeout=timedelta(minutes=40)))
    return package_links.sign(services, rollout, payloads)


def payload(**more: Any) -> dict[str, Any]:
    return {"fwPackageUri": URI, "attempt": 2, **more}


def test_each_device_gets_a_link_that_outlives_its_timeout() -> None:
    links = Links()
    signed = sign(links, {"a": payload(), "b": payload(manifest="m")})
    assert signed.payloads == {
        "a": payload(fwPackageUri=f"{URI}?sp=r&sig={SECRET}1"),
        "b": payload(manifest="m", fwPackageUri=f"{URI}?sp=r&sig={SECRET}2"),
    }
    assert links.made == [timedelta(minutes=50)] * 2
    assert signed.refusal is None


def test_without_private_storage_payloads_and_outcomes_stay_as_they_are() -> None:
    payloads = {"a": payload(fwPackageUri=f"{URI}?sp=r&sig={SECRET}")}
    signed = sign(None, payloads)
    assert signed.payloads == payloads
    outcome = Responded(MethodResponse(status=200, payload={"uri": payloads["a"]["fwPackageUri"]}))
    assert signed.hide_link("a", outcome) is outcome


def test_a_response_that_repeats_its_link_is_kept_without_the_secret() -> None:
    signed = sign(Links(), {"a": payload()})
    text = f"cannot read {signed.payloads['a']['fwPackageUri']}"
    shown = signed.hide_link(
        "a", Responded(MethodResponse(status=404, payload={"error": text, "code": 7}))
    )
    assert isinstance(shown, Responded)
    assert shown.response.status == 404
    assert shown.response.payload["code"] == 7
    assert shown.response.payload["error"].startswith(f"cannot read {URI}?")
    assert SECRET not in str(shown)
    assert signed.hide_link("a", DeviceOffline()) == DeviceOffline()


@pytest.mark.parametrize(
    ("error", "refusal"),
    [(REFUSED, Reason(code="packageStorage", message=str(REFUSED))), (DOWN, None)],
)
def test_without_a_link_nothing_is_sent_and_a_refusal_says_why(
    error: PackageLinkError, refusal: Reason | None
) -> None:
    signed = sign(Links(error), {"a": payload()})
    assert (signed.payloads, signed.refusal) == ({}, refusal)


def test_a_refusal_pauses_a_running_rollout_and_no_other() -> None:
    refusal = Reason(code="packageStorage", message=str(REFUSED))
    running = make_rollout()
    paused = package_links.pause(running, NOON, refusal)
    assert paused.status is RolloutStatus.PAUSED
    assert paused.status_reason is not None
    assert (paused.status_reason.code, paused.status_reason.message) == (
        "packageStorage",
        str(REFUSED),
    )
    event = paused.audit.events[-1]
    assert (event.at, event.action, event.message) == (NOON, "paused", str(REFUSED))
    assert package_links.pause(running, NOON, None) is running
    assert package_links.pause(paused, NOON, refusal) is paused
