"""What Azure accepts for a resource: the models of Microsoft's management SDKs.

The SDKs are generated from the same API descriptions as Azure's own checks. Two generations of
them are in use: older models list their fields in `_attribute_map`, newer ones in
`_attr_to_rest_field`.
"""

import importlib
import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

# Resource type: the SDK's package, and the model of the body of a PUT.
_MODELS = {
    "Microsoft.Authorization/locks": ("resource.locks", "ManagementLockObject"),
    "Microsoft.Authorization/roleAssignments": (
        "authorization.v2022_04_01",
        "RoleAssignmentCreateParameters",
    ),
    "Microsoft.Devices/IotHubs": ("iothub.v2023_06_30", "IotHubDescription"),
    "Microsoft.Insights/actionGroups": ("monitor", "ActionGroupResource"),
    "Microsoft.Insights/components": (
        "applicationinsights.v2020_02_02",
        "ApplicationInsightsComponent",
    ),
    "Microsoft.Insights/scheduledQueryRules": ("monitor", "ScheduledQueryRuleResource"),
    "Microsoft.Insights/workbooks": ("applicationinsights.v2023_06_01", "Workbook"),
    "Microsoft.ManagedIdentity/userAssignedIdentities": ("msi.v2024_11_30", "Identity"),
    "Microsoft.Network/privateDnsZones": ("privatedns", "PrivateZone"),
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": ("privatedns", "VirtualNetworkLink"),
    "Microsoft.Network/privateEndpoints": ("network", "PrivateEndpoint"),
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": ("network", "PrivateDnsZoneGroup"),
    "Microsoft.Network/virtualNetworks": ("network", "VirtualNetwork"),
    "Microsoft.OperationalInsights/workspaces": ("loganalytics", "Workspace"),
    "Microsoft.Resources/resourceGroups": ("resource.resources", "ResourceGroup"),
    "Microsoft.Storage/storageAccounts": ("storage", "StorageAccountCreateParameters"),
    "Microsoft.Storage/storageAccounts/blobServices": ("storage", "BlobServiceProperties"),
    "Microsoft.Storage/storageAccounts/blobServices/containers": ("storage", "BlobContainer"),
    "Microsoft.Web/serverfarms": ("web", "AppServicePlan"),
    "Microsoft.Web/sites": ("web", "Site"),
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": (
        "web",
        "CsmPublishingCredentialsPoliciesEntity",
    ),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One property of a model."""

    hint: Any  # its type
    is_read_only: bool


type Fields = dict[str, Field | Fields]


def model_of(resource_type: str) -> type | None:
    """Return the model of a resource type, or None if this module does not know the type."""
    if resource_type not in _MODELS:
        return None
    package, name = _MODELS[resource_type]
    model: type = getattr(importlib.import_module(f"azure.mgmt.{package}.models"), name)
    return model


def has_api_version(resource_type: str, version: str) -> bool:
    """Return whether the SDK calls this API version; only for it do the models hold."""
    package, _ = _MODELS[resource_type]
    if package.endswith("." + "v" + version.replace("-", "_")):
        return True
    module = importlib.import_module(f"azure.mgmt.{package}")
    folder = Path(str(module.__file__)).parent
    files = [folder / "_configuration.py", *(folder / "operations").glob("*.py")]
    return any(f'"{version}"' in path.read_text() for path in files)


def fields_of(model: type) -> Fields:
    """Return the properties of a model by their names in JSON, nested as they are in JSON."""
    rest_fields = _rest_fields(model)
    if rest_fields is not None:
        hints = typing.get_type_hints(model, *_namespaces(model))
        return {
            field._rest_name: Field(hints[name], field._visibility == ["read"])  # noqa: SLF001
            for name, field in rest_fields.items()
        }
    hints = typing.get_type_hints(model.__init__, *_namespaces(model))  # type: ignore[misc]
    validation = getattr(model, "_validation", {})
    fields: Fields = {}
    for name, item in vars(model)["_attribute_map"].items():
        *parents, last = item["key"].replace(r"\.", "\0").split(".")
        inner = fields
        for parent in parents:
            inner = inner.setdefault(parent, {})  # type: ignore[assignment]
        read_only = bool(validation.get(name, {}).get("readonly"))
        inner[last.replace("\0", ".")] = Field(hints.get(name, Any), read_only)
    return fields


def _rest_fields(model: type) -> Mapping[str, Any] | None:
    """Return the fields of a model of the newer generation, which finds them at first use."""
    model.__new__(model)  # type: ignore[call-overload]
    found: Mapping[str, Any] | None = getattr(model, "_attr_to_rest_field", None)
    return found


def _namespaces(model: type) -> tuple[dict[str, Any], dict[str, ModuleType]]:
    """Return where the names of the model's annotations are found."""
    module = sys.modules[model.__module__]
    return vars(module), {"_models": sys.modules[module.__package__ or ""]}
