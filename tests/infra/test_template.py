"""The template holds what Azure accepts, and a broken copy is noticed."""

import pytest

from functions.rollouts.model.quotas import Tier
from functions.settings import names
from functions.settings.environment import DEFAULT_SCHEDULE, read
from tests.infra import setting_rules
from tests.infra.conftest import Break
from tests.infra.resource_rules import find_unknown
from tests.infra.template import INFRA, BicepFile, app_settings, given_parameters
from tests.infra.template_rules import find_open_storage, find_unknown_names, find_wrong_roles


def test_every_property_and_enum_value_is_known_to_the_sdks() -> None:
    assert find_unknown(INFRA) == []


def test_roles_are_the_intended_ones() -> None:
    assert find_wrong_roles(INFRA) == []


def test_storage_is_open_to_identities_only() -> None:
    assert find_open_storage(INFRA) == []


def test_every_name_is_declared_and_every_module_gets_its_parameters() -> None:
    assert find_unknown_names(INFRA) == []


def test_settings_are_the_same_in_code_readme_template_and_sample() -> None:
    assert setting_rules.find_differences(INFRA) == []


@pytest.mark.parametrize(
    ("file", "text", "other", "finding"),
    [
        ("modules/app.bicep", "httpsOnly:", "httpOnly:", "app.properties.httpOnly: unknown"),
        ("modules/app.bicep", "http: {", "htpp: {", "triggers.htpp: unknown"),
        ("modules/app.bicep", "'blobContainer'", "'blob'", "'blob' is not one of blobContainer"),
        ("modules/app.bicep", "httpsOnly: true", "httpsOnly: 'yes'", "'yes' is not a bool"),
        ("modules/hub.bicep", "@2023-06-30", "@2019-01-01", "does not know API version"),
        ("modules/app.bicep", "httpsOnly: true", "state: 'x'", "state: is read-only"),
        ("modules/storage.bicep", "minimumTlsVersion:", "minTlsVersion:", "minTlsVersion: unknown"),
        ("modules/storage.bicep", "'Disabled' : 'Enabled'", "'Disabled' : 'On'", "'On' is not one"),
        ("modules/storage.bicep", "'CanNotDelete'", "'DoNotDelete'", "'DoNotDelete' is not one of"),
        ("modules/hub.bicep", "IotHubs@", "IotHub@", "no model is known"),
        ("modules/alerts.bicep", "windowSize:", "window:", "properties.window: unknown"),
        ("modules/alerts.bicep", "'Count'", "'Rows'", "'Rows' is not one of"),
        ("modules/network.bicep", "groupIds: [service]", "groupIds: 'x'", "'x' is not a list"),
        ("modules/network.bicep", "privateDnsZoneId:", "dnsZoneId:", "dnsZoneId: unknown"),
        ("modules/monitoring.bicep", "DisableLocalAuth:", "LocalAuth:", "LocalAuth: unknown"),
    ],
)  # fmt: skip
def test_a_misspelt_property_or_value_is_found(
    broken: Break, file: str, text: str, other: str, finding: str
) -> None:
    found = find_unknown(broken(file, text, other))
    assert len(found) == 1
    assert finding in found[0]


@pytest.mark.parametrize(
    ("file", "text", "other", "symbol"),
    [
        ("modules/storage.bicep", "0a9a7e1f-b9d0", "0a9a7e1f-b9d1", "tableAccess"),
        ("modules/storage.bicep", "974c5e8b-45b9", "974c5e8b-45b8", "queueAccess"),
        ("modules/hub-access.bicep", "  scope: hub\n", "", "hubAccess"),
        ("modules/monitoring.bicep", "resource publishMetrics", "resource x", "publishMetrics"),
    ],
)  # fmt: skip
def test_a_wrong_or_missing_role_is_found(
    broken: Break, file: str, text: str, other: str, symbol: str
) -> None:
    assert any(symbol in found for found in find_wrong_roles(broken(file, text, other)))


@pytest.mark.parametrize("name", sorted(app_settings(INFRA)))
def test_a_setting_missing_in_the_template_is_found(broken: Break, name: str) -> None:
    folder = broken("modules/app.bicep", f"{{ name: '{name}'", "{ name: 'ROLLOUT_OTHER'")
    assert setting_rules.find_differences(folder) == [
        f"the template lacks {name}",
        "the template names ROLLOUT_OTHER, which nothing reads",
    ]


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("allowSharedKeyAccess: false", "allowSharedKeyAccess: true"),
        ("    allowSharedKeyAccess: false\n", ""),
        ("allowBlobPublicAccess: false", "allowBlobPublicAccess: true"),
        ("supportsHttpsTrafficOnly: true", "supportsHttpsTrafficOnly: false"),
        ("'TLS1_2'", "'TLS1_0'"),
        ("publicAccess: 'None'", "publicAccess: 'Blob'"),
    ],
)
def test_an_open_storage_account_is_found(broken: Break, text: str, other: str) -> None:
    assert len(find_open_storage(broken("modules/storage.bicep", text, other))) == 1


@pytest.mark.parametrize(
    ("file", "text", "other", "finding"),
    [
        ("main.bicep", "    tier: hubTier\n", "", "the parameter tier of hub.bicep is missing"),
        ("main.bicep", "units: hubUnits\n  }", "unit: hubUnits\n  }", "has no parameter unit"),
        ("main.bicep", "app.outputs.url", "app.outputs.uri", "app has no output uri"),
        ("main.bicep", "quotaShare: quotaShare", "quotaShare: share", "share is not declared"),
        ("main.bicep", "'id-${suffix}'", "'id-${sufix}'", "sufix is not declared"),
        ("main.parameters.json", '"location":', '"region":', "has no parameter region"),
    ],
)
def test_a_wrong_name_is_found(
    broken: Break, file: str, text: str, other: str, finding: str
) -> None:
    found = find_unknown_names(broken(file, text, other))
    assert any(finding in item for item in found), found


def test_each_setting_gets_the_azd_variable_of_its_own_name() -> None:
    passed = given_parameters(INFRA)
    parameters = BicepFile(INFRA / "modules/app.bicep").parameters
    chosen = {
        name: value
        for name, value in app_settings(INFRA).items()
        if isinstance(value, str) and value in parameters and value in passed
    }
    assert len(chosen) > 3
    assert not [name for name, value in chosen.items() if f"${{{name}=" not in passed[value]]


def test_the_tiers_of_the_template_are_those_of_the_app() -> None:
    decorators = BicepFile(INFRA / "main.bicep").parameters["hubTier"]["decorators"]
    (allowed,) = (item["argument"] for item in decorators if item["type"] == "allowed")
    assert set(allowed) == set(Tier)


def test_without_choices_the_app_has_its_defaults() -> None:
    """Read what azd passes for variables that are not set: the part behind `=`."""
    defaults = {
        name: expression.partition("=")[2].rstrip("}")
        for name, expression in given_parameters(INFRA).items()
    }
    environment = {
        name: defaults.get(str(value), "x") for name, value in app_settings(INFRA).items()
    } | {names.TIER: defaults["hubTier"], names.UNITS: defaults["hubUnits"]}
    least = {names.HUB_HOST: "h", f"{names.STORAGE}__accountName": "a"}
    assert read(environment).limits == read(least).limits
    assert read(environment).quarantine == read(least).quarantine


def test_the_sample_has_the_defaults() -> None:
    values = setting_rules.in_sample()
    least = {name: values[name] for name in setting_rules.KEYS}
    assert read(values) == read(least)
    assert values[names.SCHEDULE] == DEFAULT_SCHEDULE
