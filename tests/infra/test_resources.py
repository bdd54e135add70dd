"""The template creates what docs/azure.md says, each with the option that switches it."""

import re
from typing import Any

import pytest

from tests.infra.template import INFRA, BicepFile, all_resources

RESOURCES = {(file.path.stem, item.symbol): item for file, item in all_resources(INFRA)}


def _properties(module: str, symbol: str) -> Any:
    return RESOURCES[module, symbol].body["properties"]


def test_the_app_runs_python_3_13_on_flex_consumption_with_an_identity() -> None:
    assert RESOURCES["app", "plan"].body["sku"] == {"name": "FC1", "tier": "FlexConsumption"}
    config = _properties("app", "app")["functionAppConfig"]
    assert config["runtime"] == {"name": "python", "version": "3.13"}
    scale = config["scaleAndConcurrency"]
    assert scale["triggers"]["http"]["perInstanceConcurrency"] == "httpConcurrency"
    assert scale["maximumInstanceCount"] == "maximumInstanceCount"
    assert RESOURCES["app", "app"].body["identity"]["type"] == "UserAssigned"
    authentication = config["deployment"]["storage"]["authentication"]
    assert authentication["type"] == "UserAssignedIdentity"


def test_a_lock_keeps_the_account_with_the_rollouts() -> None:
    assert RESOURCES["storage", "lock"].scope == "account"
    assert _properties("storage", "lock")["level"] == "CanNotDelete"
    assert "locks@2020-05-01' = if (isLocked)" in BicepFile(INFRA / "modules/storage.bicep").text


# Microsoft Learn, "Azure built-in roles": what a role permits beside the rights of a contributor.
PERMITTED = {
    "Owner": {"roleAssignments", "locks"},
    "User Access Administrator": {"roleAssignments", "locks"},
    "Role Based Access Control Administrator": {"roleAssignments"},
}


def test_who_has_the_documented_roles_may_create_all_that_is_created() -> None:
    text = (INFRA.parent / "docs/azure.md").read_text()
    needed = {
        resource.type.partition("Microsoft.Authorization/")[2]
        for resource in RESOURCES.values()
        if resource.type.startswith("Microsoft.Authorization/")
    }
    named = re.search(r"\(\*(\w+)\*, or \*Contributor\* with \*([\w ]+)\*\)", text)
    assert named is not None
    assert all(needed <= PERMITTED[role] for role in named.groups())


def test_a_private_network_reaches_each_service_that_the_app_uses() -> None:
    file = BicepFile(INFRA / "modules/network.bicep")
    assert file.parsed["variables"]["services"]["value"] == ["blob", "queue", "table"]
    app, endpoints = _properties("network", "network")["subnets"]
    service = app["properties"]["delegations"][0]["properties"]["serviceName"]
    assert service == "Microsoft.App/environments"  # what Flex Consumption needs
    assert endpoints["name"] == "endpoints"
    main = (INFRA / "main.bicep").read_text()
    assert "network.bicep' = if (privateNetwork)" in main
    assert "subnetId: privateNetwork ? network.outputs.appSubnetId : ''" in main


def test_a_hub_may_exist_in_another_group() -> None:
    main = (INFRA / "main.bicep").read_text()
    assert "hub.bicep' = if (empty(hubName))" in main
    assert "scope: resourceGroup(hubGroup)" in main


@pytest.mark.parametrize("module", ["monitoring", "alerts", "workbook"])
def test_telemetry_alerts_and_workbook_are_deployed(module: str) -> None:
    assert module in BicepFile(INFRA / "main.bicep").modules
    assert any(name == module for name, _ in RESOURCES)


def test_no_key_is_accepted_by_storage_telemetry_or_deployment() -> None:
    assert _properties("storage", "account")["allowSharedKeyAccess"] is False
    assert _properties("monitoring", "insights")["DisableLocalAuth"] is True
    for policy in ("ftpPublishing", "scmPublishing"):
        assert _properties("app", policy) == {"allow": False}
