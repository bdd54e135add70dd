"""Find mistakes in a template that no model of an SDK shows: roles, storage, names, parameters."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.infra.template import BicepFile, all_resources, given_parameters, read_files

# Microsoft Learn, "Azure built-in roles". The role on each resource, by the symbol of the
# assignment: what is assigned where, and its id.
ROLES = {
    "blobAccess": ("account", "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"),  # Storage Blob Data Owner
    "queueAccess": ("account", "974c5e8b-45b9-4653-ba55-5f855dd0fb88"),  # Storage Queue Data Contr.
    "tableAccess": ("account", "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3"),  # Storage Table Data Contr.
    "hubAccess": ("hub", "4fc6c259-987e-4a07-842e-c321cc9d413f"),  # IoT Hub Data Contributor
    "linkAccess": ("packageStorage", "db58b8e5-c6ad-4a2a-8342-4190687cbf4a"),  # Blob Delegator
    "readAccess": ("packageStorage", "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"),  # Blob Data Reader
    "publishMetrics": ("insights", "3913510d-42f4-4e42-8a64-420c390055eb"),  # Monitoring Metrics P.
}
_OPEN_STORAGE = {
    "allowSharedKeyAccess": False,
    "allowBlobPublicAccess": False,
    "supportsHttpsTrafficOnly": True,
    "minimumTlsVersion": "TLS1_2",
}
_TEXT = re.compile(r"'''.*?'''|'(?:\\.|[^'\\])*'", re.DOTALL)
_NAME = re.compile(r"(?<![.\w?])([A-Za-z_]\w*)(?!\w|\s*:)")
# Words of the language and its functions, as far as the template uses them.
_BICEP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "targetScope param var resource module output existing if for in true false null"
        " string int bool object array empty union guid uniqueString resourceGroup subscription"
        " environment subscriptionResourceId loadTextContent",
    )
)


def find_wrong_roles(folder: Path) -> list[str]:
    """Return the role assignments that differ from ROLES, and those that are missing."""
    found = {}
    for file, resource in all_resources(folder):
        if resource.type == "Microsoft.Authorization/roleAssignments":
            function = resource.body["properties"]["roleDefinitionId"]["function"]
            symbol = function["parameters"]["resource_name_1"]
            variable = file.parsed["variables"].get(symbol)
            found[resource.symbol] = (resource.scope, variable and variable["value"])
    names = sorted(found.keys() | ROLES.keys())
    return [
        f"{name}: {found.get(name)}, expected {ROLES.get(name)}"
        for name in names
        if found.get(name) != ROLES.get(name)
    ]


def find_open_storage(folder: Path) -> list[str]:
    """Return why a storage account would be open to more than the app's identity."""
    accounts = [
        resource
        for _, resource in all_resources(folder)
        if resource.type == "Microsoft.Storage/storageAccounts"
    ]
    wrong = [
        f"{account.symbol}.{name}: must be {value}"
        for account in accounts
        for name, value in _OPEN_STORAGE.items()
        if account.body["properties"].get(name) != value
    ]
    public = [
        f"{resource.symbol}: must not be public"
        for _, resource in all_resources(folder)
        if resource.type.endswith("/containers")
        and resource.body["properties"].get("publicAccess") != "None"
    ]
    return wrong + public + ([] if accounts else ["no storage account"])


def find_unknown_names(folder: Path) -> list[str]:
    """Return identifiers that no file declares, and wrong parameters and outputs of modules."""
    wrong = []
    for file in read_files(folder):
        wrong += [f"{file.path.name}: {name} is not declared" for name in _undeclared(file)]
        wrong += _wrong_module_calls(file)
    main = BicepFile(folder / "main.bicep")
    return wrong + list(
        _wrong_parameters("main.parameters.json", main, set(given_parameters(folder)))
    )


def _undeclared(file: BicepFile) -> list[str]:
    """Return the identifiers in expressions, also inside texts, that are not declared."""
    code = re.sub(r"(?m)(?<!:)//.*$|^#.*$", "", file.text)
    code = re.sub(r"(?m)^@description\(.*\)$", "", code)
    inner = " ".join(re.findall(r"\$\{([^}]*)\}", code))
    code = _TEXT.sub("''", code)
    code = re.sub(r"(?m)^@\w+\(", "(", code)
    code = re.sub(r"(?m)^(param|output) \w+ \w+", "", code)
    used = set(_NAME.findall(code)) | set(_NAME.findall(inner))
    return sorted(used - file.names - _BICEP_WORDS)


def _wrong_module_calls(file: BicepFile) -> Iterator[str]:
    targets = {
        name: BicepFile((file.path.parent / item["detail"]["path"]).resolve())
        for name, item in file.modules.items()
    }
    for name, item in file.modules.items():
        config = item["config"]
        given = set(config.get("config", config)["params"])
        yield from _wrong_parameters(f"{file.path.name}: {name}", targets[name], given)
    for module, output in re.findall(r"\b(\w+)\.outputs\.(\w+)", file.text):
        if module not in targets or output not in targets[module].outputs:
            yield f"{file.path.name}: {module} has no output {output}"


def _wrong_parameters(path: str, target: BicepFile, given: set[str]) -> Iterator[str]:
    required = {name for name, item in target.parameters.items() if item.get("default") is None}
    for name in sorted(given - target.parameters.keys()):
        yield f"{path}: {target.path.name} has no parameter {name}"
    for name in sorted(required - given):
        yield f"{path}: the parameter {name} of {target.path.name} is missing"
