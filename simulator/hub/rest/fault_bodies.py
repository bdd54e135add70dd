"""The JSON of fault plans. Unknown fields are errors: a misspelt fault would do nothing."""

from simulator.hub.model.errors import invalid
from simulator.hub.model.faults import Action, Fault, FaultPlan, Faults
from simulator.hub.model.json_types import Document, Json
from simulator.hub.model.metering import Operation
from simulator.hub.model.traffic import FAULT_STATUSES
from simulator.hub.rest.bodies import as_object

MAX_FAULTS = 100
_CONNACK_CODES = range(1, 6)
_MAX_SECONDS = 3600
# A job's part on a device meets the faults of its method or twin update only.
_OPERATIONS = tuple(word for word in Operation if word is not Operation.JOB_DEVICE)
_FIELDS = frozenset(
    {"action", "devices", "operations", "share", "count", "seconds", "status"}
    | {"retryAfterSeconds", "returnCode"}
)


def read_fault_plan(body: Json) -> FaultPlan:
    """Read `{"seed": 1, "faults": [{"action": ...}, ...]}`. Raises ARGUMENT_INVALID."""
    document = as_object(body)
    _only(document, frozenset({"seed", "faults"}), "the body")
    faults = document.get("faults", [])
    if not isinstance(faults, list) or len(faults) > MAX_FAULTS:
        raise invalid(f"faults must be an array of at most {MAX_FAULTS}")
    return FaultPlan(
        seed=_whole(document, "seed", 0) or 0,
        faults=tuple(_fault(as_object(item, "a fault")) for item in faults),
    )


def faults_document(faults: Faults) -> Document:
    """Return the plan in force, each fault with how often it has `struck`."""
    plan = faults.plan
    return {
        "seed": plan.seed,
        "faults": [
            {**_fault_document(fault), "struck": struck}
            for fault, struck in zip(plan.faults, faults.struck, strict=True)
        ],
    }


def _fault(document: Document) -> Fault:
    _only(document, _FIELDS, "a fault")
    fault = Fault(
        action=_action(document.get("action")),
        devices=_texts(document, "devices") or ("*",),
        operations=frozenset(_operation(name) for name in _texts(document, "operations")),
        share=_share(document.get("share", 1)),
        count=_whole(document, "count", None),
        seconds=_seconds(document.get("seconds", 0)),
        status=_whole(document, "status", 503) or 0,
        retry_after_seconds=_whole(document, "retryAfterSeconds", None),
        return_code=_whole(document, "returnCode", 3) or 0,
    )
    if fault.status not in FAULT_STATUSES:
        raise invalid(f"status must be one of {sorted(FAULT_STATUSES)}")
    if fault.return_code not in _CONNACK_CODES:
        raise invalid("returnCode must be 1 to 5")
    if fault.count is not None and fault.is_per_device:
        raise invalid(f"{fault.action} is for whole devices and takes no count; name the devices")
    return fault


def _fault_document(fault: Fault) -> Document:
    return {
        "action": fault.action.value,
        "devices": [*fault.devices],
        "operations": [*sorted(operation.value for operation in fault.operations)],
        "share": fault.share,
        "count": fault.count,
        "seconds": fault.seconds,
        "status": fault.status,
        "retryAfterSeconds": fault.retry_after_seconds,
        "returnCode": fault.return_code,
    }


def _only(document: Document, known: frozenset[str], where: str) -> None:
    unknown = document.keys() - known
    if unknown:
        raise invalid(f"{where} has no {', '.join(sorted(unknown))}")


def _action(value: Json) -> Action:
    if isinstance(value, str) and value in Action:
        return Action(value)
    raise invalid(f"action must be one of {', '.join(Action)}")


def _operation(value: str) -> Operation:
    if value in _OPERATIONS:
        return Operation(value)
    raise invalid(f"operations must be of {', '.join(_OPERATIONS)}")


def _texts(document: Document, name: str) -> tuple[str, ...]:
    """Read a string or an array of strings."""
    value = document.get(name, [])
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list):
        raise invalid(f"{name} must be an array of strings")
    texts = tuple(item for item in items if isinstance(item, str))
    if len(texts) != len(items):
        raise invalid(f"{name} must be an array of strings")
    return texts


def _share(value: Json) -> float:
    """Read a share: 0 to 1, or a text like "5%"."""
    try:
        if isinstance(value, str):
            share = float(value.removesuffix("%")) / 100 if value.endswith("%") else -1.0
        else:
            share = float(value) if isinstance(value, int | float) else -1.0
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise invalid('share must be 0 to 1, or a text like "5%"')
    return share


def _seconds(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid("seconds must be a number")
    if not 0 <= value <= _MAX_SECONDS:
        raise invalid(f"seconds must be 0 to {_MAX_SECONDS}")
    return float(value)


def _whole(document: Document, name: str, default: int | None) -> int | None:
    value = document.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise invalid(f"{name} must be a whole number, not below 0")
    return value
