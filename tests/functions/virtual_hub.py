"""A hub and its devices on a virtual clock, for use-case tests: the port's promises, no sockets.

A device is online or not, answers its method, and walks downloading, applying, completed one
stage every `stage_seconds`. It counts what matters: the updates it really started.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from functions.rollouts.model import DeviceTwin, MethodAnswer

from functions.errors import HubUnavailableError
from functions.rollouts.method_outcome import (
    Answered,
    DeviceOffline,
    HubRefused,
    Lost,
    MethodOutcome,
)

STAGES = ("downloading", "applying", "completed")
TIMES = ("downloadComplete", "startedApplyingImage", "lastFirmwareUpdate")


@dataclass
class VirtualDevice:
    """`tutorial_only` knows no repeats; `lose_answers` is how many of its next answers get lost."""

    online: bool = True
    tutorial_only: bool = False
    hangs: bool = False
    lose_answers: int = 0
    lose_requests: int = 0
    stage_seconds: float = 10
    started: list[tuple[str, int]] = field(default_factory=list)
    overlaps: int = 0
    reported: dict[str, tuple[Any, datetime]] = field(default_factory=dict)
    _began: datetime | None = None
    _about: dict[str, Any] | None = None

    def receive(self, payload: Mapping[str, Any], now: datetime) -> MethodAnswer:
        about = (payload["rolloutId"], payload["attempt"])
        if not self.tutorial_only and self.started and self.started[-1] == about:
            return _STARTED
        if self._running(now):
            if not self.tutorial_only:
                return MethodAnswer(status=409, payload={})
            self.overlaps += 1
        self.started.append(about)
        self._began = now
        self._about = {"rolloutId": about[0], "attempt": about[1]}
        return _STARTED

    def catch_up(self, now: datetime) -> None:
        """Report the stages whose time has come."""
        if self._began is None or self.hangs or not self.online:
            return
        for number, (stage, name) in enumerate(zip(STAGES, TIMES, strict=True), start=1):
            due = self._began + timedelta(seconds=number * self.stage_seconds)
            known = self.reported.get(name, (None, self._began))[1] >= due
            if due <= now and not known:
                self.reported["firmwareStatus"] = (stage, due)
                self.reported[name] = (due.isoformat(), due)
                if not self.tutorial_only:
                    self.reported["firmwareUpdate"] = (self._about, due)

    def _running(self, now: datetime) -> bool:
        if self.hangs:
            return self._began is not None
        self.catch_up(now)
        ended = self._began is not None and now >= self._began + timedelta(
            seconds=len(STAGES) * self.stage_seconds
        )
        return self._began is not None and not ended


_STARTED = MethodAnswer(status=200, payload={"Response": "Firmware update started"})


class VirtualHub:
    """`query_lag` is how old answers of `twins` are; `unreadable` devices have no fresh twin."""

    def __init__(self, devices: Mapping[str, VirtualDevice], clock: Callable[[], datetime]) -> None:
        self.devices = dict(devices)
        self.clock = clock
        self.query_lag = timedelta()
        self.unreadable: set[str] = set()
        self._earlier: list[tuple[datetime, dict[str, DeviceTwin]]] = []
        for device in self.devices.values():
            if not device.tutorial_only:
                device.reported["firmwareVersion"] = ("1.0.0", clock())

    def twin(self, device_id: str) -> DeviceTwin | None:
        device = self.devices.get(device_id)
        if device is None:
            return None
        device.catch_up(self.clock())
        return DeviceTwin(
            device_id=device_id,
            connected=device.online,
            reported={name: value for name, (value, _) in device.reported.items()},
            reported_at={name: at for name, (_, at) in device.reported.items()},
        )

    def twins(self, device_ids: Sequence[str]) -> Mapping[str, DeviceTwin]:
        """The twins as they were at an earlier look, at least `query_lag` ago."""
        now = {key: twin for key in self.devices if (twin := self.twin(key)) is not None}
        self._earlier.append((self.clock(), now))
        old = [twins for at, twins in self._earlier if at <= self.clock() - self.query_lag]
        return {key: twin for key, twin in (old[-1] if old else {}).items() if key in device_ids}

    def fresh_twins(self, device_ids: Sequence[str]) -> Mapping[str, DeviceTwin | None]:
        readable = [device_id for device_id in device_ids if device_id not in self.unreadable]
        if device_ids and not readable:
            raise HubUnavailableError("none can be read")
        return {device_id: self.twin(device_id) for device_id in readable}

    def invoke(self, device_id: str, method: str, payload: Mapping[str, Any]) -> MethodOutcome:
        assert method == "firmwareUpdate"
        device = self.devices.get(device_id)
        if device is None:
            return HubRefused("unknown")
        if not device.online:
            return DeviceOffline()
        if device.lose_requests > 0:
            device.lose_requests -= 1
            return Lost("request lost")
        answer = device.receive(payload, self.clock())
        if device.lose_answers > 0:
            device.lose_answers -= 1
            return Lost("answer lost")
        return Answered(answer)

    def invoke_all(
        self, method: str, payloads: Mapping[str, Mapping[str, Any]]
    ) -> Mapping[str, MethodOutcome]:
        return {key: self.invoke(key, method, payload) for key, payload in payloads.items()}

    def ping(self) -> None:
        return None
