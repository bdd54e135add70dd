"""Measure what the telemetry adds to the CPU of one device, with the use cases in memory.

The hub, storage and host of a real app cost several times as much, so compare the difference with
the figures of `fleet`.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from statistics import median

from functions.rollouts.model.quotas import Tier, quotas
from functions.settings.environment import TelemetrySettings
from functions.settings.names import OTLP_ENDPOINT
from functions.telemetry.exporters import Exporters, make_exporters
from functions.telemetry.pipeline import Pipeline
from tests.bench.figures import Figure
from tests.bench.processes import lines_until, program
from tests.functions.use_cases.world import World, devices

DEVICES = 2_000
PAIRS = 5


def run() -> Iterator[Figure]:
    """Measure both in turn, because the machine's speed changes."""
    without, exported = [], []
    with program("tests.functions.telemetry.collector") as collector:
        os.environ[OTLP_ENDPOINT] = lines_until(collector, "endpoint")[-1].split()[1]
        for _ in range(PAIRS):
            without.append(_measure_us(exporting=False))
            exported.append(_measure_us(exporting=True))
        del os.environ[OTLP_ENDPOINT]
    name = f"use cases in memory for each of {DEVICES:,} devices, CPU"
    base = Figure(name=f"{name}, no telemetry", value=median(without), unit="us")
    yield base
    yield Figure(name=f"{name}, telemetry", value=median(exported), unit="us", base=base)


def _measure_us(*, exporting: bool) -> float:
    world = World(devices(DEVICES), quotas(Tier.S1, 1, 0.8), still=True)
    pipeline = Pipeline(_exporters(), lambda: world.now) if exporting else None
    if pipeline is not None:
        world.services = replace(world.services, telemetry=pipeline.telemetry)
    telemetry = world.services.telemetry
    begun = time.process_time()
    rollout_id = world.create().rollout.id
    while not world.rollout(rollout_id).is_over:
        with telemetry.tick(), telemetry.invocation("advance_rollouts", "timer"):
            world.tick()
    if pipeline is not None:
        pipeline.flush()
    seconds = time.process_time() - begun
    if pipeline is not None:
        pipeline.shut_down()
    return seconds / DEVICES * 1_000_000


def _exporters() -> Exporters:
    return make_exporters(TelemetrySettings(has_otlp_endpoint=True))
