"""Bodies of the recorded requests: valid ones, and invalid ones by name."""

from collections.abc import Mapping
from typing import Any

from tests.functions.manifests import signed

FIRMWARE = {"version": "2.4.0", "packageUri": "https://packages.example/fw-2.4.0.bin"}
SECRET_URI = "https://ada:secret@mirror.example/fw.bin?sig=bmV3#part"
# The path of a rollout that does not exist.
UNKNOWN = "/rollouts/98233500000000-0123456789ab"


def body(*device_ids: str, **changes: Any) -> dict[str, Any]:
    """Return the body of a create for these devices, or for the device `d-000`."""
    target = {"deviceIds": list(device_ids or ("d-000",))}
    return {"firmware": FIRMWARE, "target": target, **changes}


def with_firmware(**changes: Any) -> dict[str, Any]:
    return body(firmware=FIRMWARE | changes)


def with_strategy(**strategy: Any) -> dict[str, Any]:
    return body(strategy=strategy)


WHOLE_STRATEGY: Mapping[str, Any] = {
    "waves": [{"name": "canary", "size": "1%"}, {"size": 2, "approval": True}],
    "successShare": "97.50%",
    "failureGate": {
        "acceptable": "0.5%",
        "unacceptable": "20%",
        "confidence": 0.99,
        "onBreach": "rollback",
    },
    "stratifyBy": ["tags.model", "properties.reported.site.id"],
    "soak": "PT1H30M",
    "maxInFlight": 20,
    "timeout": "P1DT12H",
    "retry": {
        "attempts": 5,
        "on": ["reported", "unreachable"],
        "initialDelay": "PT1.5S",
        "maxDelay": "PT1M",
    },
    "offline": {"policy": "skip", "deadline": "P2D"},
    "window": {
        "start": "22:30",
        "end": "05:00",
        "days": ["Mon", "Sat"],
        "timezone": "Europe/Berlin",
    },
}

# The virtual clock begins on 2026-11-23.
EXPIRED = signed(expiresAt="2026-11-23T11:59:59Z")

INVALID: Mapping[str, Any] = {
    "empty body": b"",
    "unfinished JSON": b'{"firmware":',
    "not UTF-8": b"\xff\xfe",
    "array": [],
    "null": b"null",
    "number": 7,
    "empty object": {},
    "too large": b" " * (16 * 1_048_576 + 1),
    "unknown field": body(hurry=1),
    "unknown field to escape": body(**{"a/b~c": 1}),
    "three fields": body(hurry=1, labels={"a": 1}, strategy={"timeout": "1h"}),
    "version of a wrong type": with_firmware(version=2),
    "version too long": with_firmware(version="x" * 65),
    "relative package URI": with_firmware(packageUri="fw.bin"),
    "package URI with hidden query": with_firmware(packageUri="https://packages.example/fw?***"),
    "short hash": with_firmware(sha256="ab" * 31),
    "size zero": with_firmware(sizeBytes=0),
    "size true": with_firmware(sizeBytes=True),
    "manifest that is invalid": with_firmware(manifest="a.b.c"),
    "manifest that differs": with_firmware(
        manifest=signed(), version="2.5.0", sha256="0" * 64, sizeBytes=7
    ),
    "manifest that has expired": with_firmware(manifest=EXPIRED),
    "no target": body(target={}),
    "two targets": body(target={"deviceIds": ["d-000"], "condition": "tags.a = 1"}),
    "no devices": body(target={"deviceIds": []}),
    "device of a wrong type": body(target={"deviceIds": ["d-000", 7]}),
    "malformed device id": body("d-000", "a b"),
    "device named twice": body("d-000", "d-001", "d-000"),
    "devices unknown to the hub": body("unregistered", "d-000", "nothing"),
    "label of a wrong type": body(labels={"a": 1}),
    "label with a control character": body(labels={"a\n": "b"}),
    "too many labels": body(labels={str(number): "x" for number in range(21)}),
    "start without a zone": body(startAt="2026-12-01T02:00:00"),
    "start on no day": body(startAt="2026-02-30T00:00:00Z"),
    "start too late": body(startAt="9999-01-01T00:00:00Z"),
    "plan hash of a wrong type": body(planHash=["x"]),
    "plan hash too long": body(planHash="x" * 129),
    "timeout zero": with_strategy(timeout="PT0S"),
    "timeout in months": with_strategy(timeout="P1M"),
    "soak too long": with_strategy(soak="P365DT1S"),
    "wave without size": with_strategy(waves=[{}]),
    "wave of zero": with_strategy(waves=[{"size": 0}]),
    "waves of one name": with_strategy(waves=[{"size": 1, "name": "a"}, {"size": 1, "name": "a"}]),
    "waves that exceed the target": with_strategy(waves=[{"size": 1}, {"size": 1}]),
    "share as a number": with_strategy(successShare=0.9),
    "gate in the wrong order": with_strategy(failureGate={"acceptable": "10%"}),
    "gate with an unknown breach": with_strategy(failureGate={"onBreach": "hope"}),
    "gate too sure": with_strategy(failureGate={"confidence": 0.99991}),
    "malformed twin path": with_strategy(stratifyBy=["model"]),
    "nothing in flight": with_strategy(maxInFlight=0),
    "no attempts": with_strategy(retry={"attempts": 0}),
    "retry on nothing known": with_strategy(retry={"on": ["never"]}),
    "unknown offline policy": with_strategy(offline={"policy": "hope"}),
    "window without a zone": with_strategy(window={"start": "01:00", "end": "05:00"}),
    "window on Mars": with_strategy(
        window={"start": "1:00", "end": "05:00", "timezone": "Mars", "days": ["Mo"]}
    ),
}

# Those of them that are sent to the plan too.
INVALID_PLANS = (
    "unfinished JSON",
    "too large",
    "three fields",
    "manifest that has expired",
    "devices unknown to the hub",
    "waves that exceed the target",
)

INVALID_COMMANDS: Mapping[str, Any] = {
    "unfinished JSON": b"{",
    "array": [],
    "unknown field": {"why": 1},
    "empty caller": {"by": ""},
    "reason too long": {"reason": "x" * 257},
    "package URI": {"packageUri": "https://mirror.example/fw.bin"},
    "too large": b" " * (16 * 1_048_576) + b"{}",
}
