"""A world in memory behind the app's functions, whose telemetry a collector receives."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import azure.functions as func
import pytest
from opentelemetry import context as otel_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from functions import wiring
from functions.dispatch_queue import messages
from functions.dispatch_queue.port import Batch
from functions.settings.environment import TelemetrySettings
from functions.settings.names import OTLP_ENDPOINT
from functions.telemetry.exporters import make_exporters
from functions.telemetry.pipeline import Pipeline
from functions.triggers import background
from tests.functions.telemetry.collector import Collector, run_collector
from tests.functions.triggers.client import Client
from tests.functions.triggers.routing import CONTEXT
from tests.functions.use_cases.world import World


class App:
    """The app's functions, called as the host calls them, each in a trace of the host's own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, collector: Collector) -> None:
        monkeypatch.setenv(OTLP_ENDPOINT, collector.endpoint)
        self.collector = collector
        self._monkeypatch = monkeypatch
        self._calls = 0
        self.world: World = cast("World", None)
        self.client: Client = cast("Client", None)
        self.pipeline = Pipeline(
            make_exporters(TelemetrySettings(has_otlp_endpoint=True)), lambda: self.world.now
        )

    def run_in(self, world: World) -> None:
        telemetry = self.pipeline.telemetry
        world.services = replace(world.services, telemetry=telemetry)
        self._monkeypatch.setattr(wiring, "telemetry", lambda: telemetry)
        self.world, self.client = world, Client(world, self._monkeypatch)

    def call[T](self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Call a function with the trace context that the host sends, as the worker attaches it."""
        self._calls += 1
        parent = f"00-{self._calls:032x}-{self._calls:016x}-01"
        context = TraceContextTextMapPropagator().extract({"traceparent": parent})
        token = otel_context.attach(context)
        try:
            return function(*arguments, **named)
        finally:
            otel_context.detach(token)

    def post(self, path: str, body: Any = None) -> Any:
        response = self.call(self.client.post, path, body)
        assert response.status < 300, response.text
        return response.body

    def tick(self) -> None:
        """Run the timer's function, then that of the queue for each batch."""
        self.call(user_function(background.advance_rollouts), None)
        until = self.world.now + timedelta(seconds=10)
        while (taken := self.world.queue.due(until)) is not None:
            self.take_message(background.dispatch_batch, taken[1])
        self.world.clock.now = until

    def take_message(self, function: Any, batch: Batch) -> None:
        """Call the function of a queue with a batch's message."""
        message = func.QueueMessage(body=messages.to_text(batch).encode())

        def run() -> None:
            asyncio.run(user_function(function)(message, CONTEXT))

        self.call(run)

    def roll_out(self, rollout_id: str, ticks: int = 100) -> None:
        for _ in range(ticks):
            if self.world.rollout(rollout_id).is_over:
                return
            self.tick()
        raise AssertionError(self.world.rollout(rollout_id).counts)


def user_function(function: Any) -> Callable[..., Any]:
    """Return the function itself, which the SDK's decorators wrap."""
    built = function.build() if hasattr(function, "build") else function
    return cast("Callable[..., Any]", built.get_user_function())


@pytest.fixture
def collector() -> Iterator[Collector]:
    with run_collector() as running:
        yield running


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, collector: Collector) -> Iterator[App]:
    app = App(monkeypatch, collector)
    yield app
    app.pipeline.shut_down()
