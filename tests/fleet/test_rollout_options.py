"""Test that the options of `fleet create` describe a rollout as the API reads it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleet.exit_codes import UsageError
from fleet.pipeline.inputs import Inputs
from fleet.rollout_options import RolloutOptions, build_body
from functions.wire.create_request import CreateRolloutSchema
from functions.wire.strategy import StrategySchema

ALL = RolloutOptions(
    version="2.4.0",
    package_uri="https://packages.example/fw.bin",
    sha256="ab" * 32,
    condition="tags.site = 'berlin'",
    resolve_target="start",
    label=["build=17"],
    wave=["canary=1%", "site=50:approval"],
    success_share="98%",
    min_completed="10",
    max_not_started="5%",
    acceptable="1%",
    unacceptable="10%",
    on_breach="pause",
    on_conflict="refuse",
    when_already_running="reinstall",
    stratify_by=["tags.model"],
    soak="30m",
    max_in_flight=100,
    update_timeout="1h",
    attempts=2,
    retry_on=["timedOut", "reported"],
    offline="skip",
    offline_deadline="7d",
    window="01:00-05:00",
    window_day=["Sat", "Sun"],
    timezone="Europe/Berlin",
    start_at=(datetime.now(UTC) + timedelta(days=30)).isoformat(),
    joiners=True,
    verify_version=False,
)
# What only a file sets, because few rollouts change it.
BY_FILE_ALONE = {"failureGate.confidence", "retry.initialDelay", "retry.maxDelay"}


def names(schema: Any, prefix: str = "") -> set[str]:
    """Return the fields of a schema as the API names them; those of parts with a dot."""
    found: set[str] = set()
    for field in schema.model_fields.values():
        parts = [field.annotation, *getattr(field.annotation, "__args__", ())]
        part = next((item for item in parts if hasattr(item, "model_fields")), None)
        is_list = getattr(field.annotation, "__origin__", None) is list
        name = prefix + str(field.alias)
        found |= names(part, f"{name}.") if part is not None and not is_list else {name}
    return found


def given(body: dict[str, Any], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, value in body.items():
        is_part = isinstance(value, dict)
        found |= given(value, f"{prefix}{name}.") if is_part else {prefix + name}
    return found


def test_each_field_of_a_strategy_has_an_option() -> None:
    strategy = build_body(ALL)["strategy"]
    assert names(StrategySchema) - given(strategy) == BY_FILE_ALONE


def test_the_api_reads_what_all_options_say() -> None:
    read = CreateRolloutSchema.model_validate(build_body(ALL))
    assert read.target.joiners
    assert not read.strategy.verify_version
    assert read.strategy.window is not None
    assert [day.value for day in read.strategy.window.days] == ["Sat", "Sun"]
    assert [kind.value for kind in read.strategy.retry.on] == ["timedOut", "reported"]


def test_a_build_gives_flags_as_true_or_false() -> None:
    inputs = Inputs({"FLEET_INPUT_JOINERS": "true", "FLEET_INPUT_VERIFY_VERSION": "False"})
    options = inputs.rollout()
    assert (options.joiners, options.verify_version) == (True, False)
    assert Inputs({"FLEET_INPUT_JOINERS": ""}).rollout().joiners is None
    with pytest.raises(UsageError, match="verify-version is true or false, not 'maybe'"):
        Inputs({"FLEET_INPUT_VERIFY_VERSION": "maybe"}).rollout()


@pytest.mark.parametrize("name", ["timezone", "window_day"])
def test_what_belongs_to_a_window_needs_one(name: str) -> None:
    values: dict[str, Any] = {"timezone": "Europe/Berlin", "window_day": ["Mon"]}
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} is of a --window"):
        build_body(RolloutOptions(**{name: values[name]}))
