"""Check that a device whose confirmed firmware is unhealthy can be updated again.

The device lost power between `confirm` and the journal: the slot is confirmed, the journal says
`trying`. Today the next start runs the health check again. If it now fails, `revert` finds no
trial to end and returns, `has_work` stays true, and the agent repeats the check for ever, in a hot
loop. It responses every further update with 409 and reports nothing: an update that would mend the
device is refused for as long as the check fails.
"""

from contextlib import suppress

import pytest

from device_agent.slots import SlotInstaller
from simulator.simulated_device.bootloader import boot, manufacture
from tests.cases.steps import require
from tests.device_agent.bench_device import NEW, OLD, Bench
from tests.device_agent.volatile_disk import PowerLossError


class _LosesPowerAfterConfirm(SlotInstaller):
    def confirm(self) -> None:
        super().confirm()
        raise PowerLossError


@pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="E3: a confirmed slot is not judged again"
)
def test_a_device_whose_confirmed_firmware_becomes_unhealthy_can_be_updated_again() -> None:
    bench = Bench()
    bench.run_once(bench.payload)  # downloads, installs, switches
    bench.power.back(None)
    manufacture(bench.disk, OLD)
    installer = _LosesPowerAfterConfirm(bench.disk, boot(bench.disk), bench.restart)
    with suppress(PowerLossError):
        bench.run_once(installer=installer)
    bench.power.back(None)
    bench.health_problem = "the fan is loud"  # the new firmware is not the cause
    agent = bench.agent()
    require(agent.version == NEW, "the new firmware runs")
    works = 0
    while agent.has_work and works < 1000:
        for report in iter(agent.next_report, None):
            agent.acknowledge(report)
        agent.work(lambda _: None)
        works += 1
    response = agent.invoke("firmwareUpdate", bench.payload | {"attempt": 1, "rolloutId": "r2"})
    assert (works, response.status) == (1, 200), (
        f"runs {agent.version} (confirmed: {not agent.is_on_trial}), made its health check {works}"
        f" times without an end, and responds to the repairing update with {response.status}"
    )
