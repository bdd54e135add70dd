"""The cost page shows what infra/costs.py computes, from figures that are true elsewhere."""

import json
import re

import pytest

from functions.rollouts.model.quotas import Tier
from functions.settings.environment import DEFAULT_SCHEDULE
from infra import costs
from infra.costs import FREE, PRICES, Fleet, Line, device_table, month_table, monthly
from tests.infra.alert_rules import read_alerts
from tests.infra.template import INFRA, BicepFile, given_parameters
from tests.infra.workflow_rules import REPOSITORY

PAGE = (REPOSITORY / "docs/costs.md").read_text()
BENCHMARKS = (REPOSITORY / "docs/benchmarks.md").read_text()


def test_the_page_has_the_computed_tables() -> None:
    assert "\n".join(month_table(costs.FLEETS)) in PAGE
    assert "\n".join(device_table()) in PAGE


def test_a_month_without_a_rollout_by_hand() -> None:
    lines = {line.meter: line for line in monthly(None)}
    assert lines["execution"].quantity == 30 * 24 * 360
    assert lines["execution"].money == pytest.approx(9_200 * 0.40 / 1e6)
    assert lines["GB-second"].quantity == 518_400
    assert lines["GB-second"].money == pytest.approx(418_400 * 0.000026)
    assert lines["table or queue request"].quantity == 259_200 + 3 * 1_296_000
    assert lines["alert"].money == 9
    every_30_s = Line("GB-second", 518_400 / 3)
    assert f"{every_30_s.quantity:,.0f} GB-seconds, ${every_30_s.money:.2f}" in PAGE


def test_the_fleets_of_the_page_by_hand() -> None:
    small, large = Fleet(3_000, Tier.S1), Fleet(100_000, Tier.S2)
    # Three reports each of 50 twin updates a second, of which rollouts take 80%.
    assert small.rollout_seconds == pytest.approx(3_000 / (50 / 3 * 0.8) + 2 * 3_720)
    assert large.rollout_seconds == pytest.approx(100_000 / (50 / 3 * 0.8) + 2 * 3_720)
    assert (small.messages, large.messages) == (27_000, 900_000)
    assert small.share_of_a_day == pytest.approx(27_000 / 120_000)
    assert large.share_of_a_day == pytest.approx(900_000 / 1_800_000)
    requests = {line.meter: line for line in monthly(large)}["table or queue request"]
    idle = {line.meter: line for line in monthly(None)}["table or queue request"]
    assert requests.quantity - idle.quantity == pytest.approx(14_000)


def test_the_page_says_what_requests_that_wait_cost() -> None:
    text = " ".join(PAGE.split())
    assert costs.waiting_text() in text
    assert costs.waiting_text().endswith(f"7,200 GB-seconds, ${7_200 * 0.000026:.2f}.")
    assert f"open for a month costs ${30 * 24 * 7_200 * 0.000026:.2f}" in text
    concurrency = given_parameters(INFRA)["httpConcurrency"]
    assert concurrency == "${HTTP_CONCURRENCY=16}"
    assert "Up to 16 of them share an instance" in text


def test_what_is_free_is_never_a_credit() -> None:
    assert Line("execution", FREE["execution"] / 2).money == 0


def test_the_page_lists_each_price() -> None:
    section = PAGE.split("| price, in US dollars |")[1]
    shown = {
        float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?:\.\d+)?", section)
    }
    per_unit = {
        "execution": 1e6,
        "table or queue request": 1e4,
        "blob request": 1e4,
    }
    for meter, price in PRICES.items():
        assert round(price * per_unit.get(meter, 1), 9) in shown, meter


def test_the_figures_are_those_of_the_app_and_the_benchmarks() -> None:
    host = json.loads((REPOSITORY / "host.json").read_text())
    assert f"*/{costs.TICK_SECONDS} * * * * *" == DEFAULT_SCHEDULE
    assert host["extensions"]["queues"]["maxPollingInterval"] == f"00:00:0{costs.POLL_SECONDS}"
    background = (REPOSITORY / "functions/triggers/background.py").read_text()
    assert background.count("@blueprint.queue_trigger") == costs.QUEUES
    assert len(read_alerts(INFRA)) == costs.ALERTS
    memory = given_parameters(INFRA)["instanceMemoryMB"]
    assert memory == f"${{INSTANCE_MEMORY_MB={costs.INSTANCE_GB * 1024}}}"
    assert BicepFile(INFRA / "modules/alerts.bicep").text.count("evaluationFrequency: 'PT5M'") == 1
    assert f"| storage transactions for each device | {costs.REQUESTS_PER_DEVICE} |" in BENCHMARKS
    measured = re.search(r"\| hub messages for each device \| (\d\.\d\d) \|", BENCHMARKS)
    assert measured is not None
    assert float(measured[1]) < 6  # without a soak, as docs/costs.md says
