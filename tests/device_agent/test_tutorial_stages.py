"""Test the firmware stages of a device that knows only the tutorial."""

from datetime import timedelta

from device_agent.dialect import TUTORIAL
from simulator.simulated_device.simulated_updates import (
    SimulatedUpdates,
    UpdateSettings,
)
from tests.device_agent.simulated_stages import (
    DELAY,
    NOON,
    TUTORIAL_PAYLOAD,
    make_stages,
    payload,
    reported_mid_update,
    run_to_end,
)


class TestTutorialDevice:
    """A device that knows only the tutorial."""

    def test_it_reports_the_tutorials_properties_and_nothing_else(self) -> None:
        stages = SimulatedUpdates(UpdateSettings(dialect=TUTORIAL))
        patches = [stages.start(reported_mid_update("applying"), NOON).patch]
        stages.invoke("firmwareUpdate", payload(), NOON)
        patches += [report.patch for report in run_to_end(stages)]

        local = str(NOON.astimezone().replace(tzinfo=None))
        assert patches[0] == {"firmwareStatus": "standBy", "logTime": local}
        assert [set(patch) for patch in patches[1:]] == [
            {"firmwareStatus", "downloadComplete"},
            {"firmwareStatus", "startedApplyingImage"},
            {"firmwareStatus", "lastFirmwareUpdate"},
        ]

    def test_its_first_report_comes_one_delay_after_the_method(self) -> None:
        stages = make_stages(dialect=TUTORIAL)
        stages.invoke("firmwareUpdate", TUTORIAL_PAYLOAD, NOON)

        assert stages.due == NOON + DELAY
        assert [report.status for report in run_to_end(stages)] == [
            "downloading",
            "applying",
            "completed",
        ]

    def test_it_does_not_know_a_repeated_attempt(self) -> None:
        stages = make_stages(dialect=TUTORIAL)
        stages.invoke("firmwareUpdate", payload(), NOON)

        assert stages.invoke("firmwareUpdate", payload(), NOON).status == 409
        run_to_end(stages)
        stages.invoke("firmwareUpdate", payload(), NOON + timedelta(hours=1))
        assert stages.due is not None
