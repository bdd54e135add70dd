"""Bodies as a caller might send them, for the description of the API; a test sends them all."""

from collections.abc import Mapping
from typing import Any

_FIRMWARE = {
    "version": "2.4.0",
    "packageUri": "https://packages.example/fw-2.4.0.bin",
    "sha256": "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
    "sizeBytes": 1_048_576,
}

CREATE: Mapping[str, Mapping[str, Any]] = {
    "the least": {
        "firmware": {"version": "2.4.0", "packageUri": _FIRMWARE["packageUri"]},
        "target": {"deviceIds": ["thermostat-1"]},
    },
    "in waves": {
        "firmware": _FIRMWARE,
        "target": {"condition": "tags.site = 'berlin'"},
        "strategy": {
            "waves": [{"name": "canary", "size": "1%"}, {"size": 50, "approval": True}],
            "successShare": "95%",
            "failureGate": {"acceptable": "1%", "unacceptable": "10%", "onBreach": "rollback"},
            "stratifyBy": ["tags.model"],
            "soak": "PT1H",
        },
        "labels": {"build": "1234"},
    },
    "at night": {
        "firmware": _FIRMWARE,
        "target": {"deviceIds": ["thermostat-1", "thermostat-2"]},
        "strategy": {
            "window": {
                "start": "22:00",
                "end": "05:00",
                "days": ["Mon", "Tue"],
                "timezone": "Europe/Berlin",
            },
            "maxInFlight": 20,
            "timeout": "PT30M",
            "retry": {"attempts": 5, "on": ["unreachable", "timedOut", "reported"]},
            "offline": {"policy": "wait", "deadline": "P7D"},
        },
        "startAt": "2026-12-01T02:00:00Z",
    },
}

STEERING: Mapping[str, Mapping[str, Any]] = {
    "who and why": {"reason": "the canary runs hot", "by": "ada"}
}

RETRY: Mapping[str, Mapping[str, Any]] = {
    **STEERING,
    "with a fresh link": {
        "packageUri": "https://packages.example/fw-2.4.0.bin?sv=2024-11-04&sig=bmV3",
        "reason": "the link had expired",
    },
}
