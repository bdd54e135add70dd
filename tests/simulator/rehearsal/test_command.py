"""`python -m simulator rehearse`: the input it rejects, its output and its exit codes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from simulator.__main__ import app
from simulator.rehearsal import command

RUNNER = CliRunner(env={"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"})
ROLLOUT = """
{"firmware": {"version": "2.4.0", "packageUri": "https://packages.example/fw-2.4.0.bin"}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rollout.json"
    path.write_text(ROLLOUT)
    return path


def rehearsed(file: Path, *arguments: str) -> Result:
    return RUNNER.invoke(app, ["rehearse", str(file), "--devices", "20", *arguments])


@pytest.fixture
def never_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> str:
        raise AssertionError("the rehearsal was begun")

    monkeypatch.setattr(command, "run", run)


@pytest.mark.usefixtures("never_run")
@pytest.mark.parametrize("option", ["--share", "--daily-share"])
@pytest.mark.parametrize("share", ["0%", "0.99%"])
def test_a_share_of_the_quotas_below_1_percent_is_rejected(
    file: Path, option: str, share: str
) -> None:
    ended = rehearsed(file, option, share)

    assert ended.exit_code == 2
    assert ended.stderr == f"error: {option} must be from 1% to 100%, not {share}\n"


# -- the chart


def test_a_chart_is_written_beside_the_report(file: Path, tmp_path: Path) -> None:
    ended = rehearsed(file, "--chart", str(tmp_path / "chart.svg"))

    assert ended.exit_code == 0
    assert "20 of 20 devices completed." in ended.stdout
    assert "</svg>" in (tmp_path / "chart.svg").read_text()


@pytest.mark.usefixtures("never_run")
@pytest.mark.parametrize("path", ["missing/chart.svg", "rollout.json/chart.svg", "."])
def test_a_chart_that_cannot_be_written_is_rejected_before_the_run(
    file: Path, tmp_path: Path, path: str
) -> None:
    ended = rehearsed(file, "--chart", str(tmp_path / path))

    assert ended.exit_code == 2
    assert "--chart" in ended.stderr


def test_a_chart_that_fails_after_the_run_exits_with_2(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device", "chart.svg")

    monkeypatch.setattr(Path, "write_text", full)
    ended = rehearsed(file, "--chart", str(tmp_path / "chart.svg"))

    assert ended.exit_code == 2
    assert "20 of 20 devices completed." in ended.stdout
    assert ended.stderr == (
        "error: the chart could not be written: [Errno 28] No space left on device: 'chart.svg'\n"
    )


# -- wrong input, and errors of the rehearsal itself


def test_an_invalid_rollout_is_reported_field_by_field(file: Path) -> None:
    file.write_text('{"firmware": {"version": "2.4.0", "packageUri": "ftp://x"}}')
    ended = rehearsed(file)

    assert ended.exit_code == 2
    assert "error: 1 field is invalid.\n  /firmware/packageUri: " in ended.stderr


def test_a_file_that_is_nested_too_deeply_is_rejected(file: Path) -> None:
    file.write_text("[" * 100_000)
    ended = rehearsed(file)
    assert ended.exit_code == 2
    assert "nested too deeply" in ended.stderr


def test_a_start_before_1970_is_rehearsed(file: Path) -> None:
    body = json.loads(file.read_text())
    file.write_text(json.dumps(body | {"startAt": "0001-01-01T00:00:00Z"}))
    ended = rehearsed(file, "--json")
    assert ended.exit_code == 0
    assert json.loads(ended.stdout)["status"] == "completed"


def test_a_version_alone_is_rehearsed_without_a_catalogue(file: Path) -> None:
    file.write_text('{"firmware": {"version": "2.4.0"}}')
    ended = rehearsed(file, "--devices", "20")

    assert ended.exit_code == 0
    assert "20 of 20 devices completed." in ended.stdout


def test_an_error_in_the_rehearsal_itself_is_not_reported_as_wrong_usage(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*_: object, **__: object) -> str:
        raise ValueError("ours")

    monkeypatch.setattr(command, "run", mistaken)

    assert isinstance(rehearsed(file).exception, ValueError)


# -- durations, strata and outages


@pytest.mark.usefixtures("never_run")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--update-takes", "soon"), "'soon' is not a length of time"),
        (("--fail-after", "9m..1m"), "'9m..1m' ends before it begins"),
        (("--stratum", "berlin:160%"), "'160%' is not a share"),
        (("--outage", "10m"), "'10m' is not an outage"),
        (("--stratum", "a:60%", "--stratum", "b:50%"), "the strata total 110%"),
        (("--stratum", "a:fail=60%", "--hang", "50%"), "--stratum a: the shares total 110%"),
        (("--outage", "10m@5m:rome"), "--outage names the stratum 'rome'; --stratum names none"),
    ],
)
def test_options_of_the_fleet_that_cannot_be_are_rejected_with_the_reason(
    file: Path, arguments: tuple[str, ...], message: str
) -> None:
    ended = rehearsed(file, *arguments)

    assert ended.exit_code == 2
    assert message in " ".join(ended.stderr.replace("│", " ").split())


def test_json_tells_what_became_of_each_stratum_and_when_it_was_away(file: Path) -> None:
    strata = ("--stratum", "berlin:60%:fail=100%", "--stratum", "paris", "--fail-after", "30s")
    ended = rehearsed(file, *strata, "--outage", "2m@1m:paris", "--json")

    assert ended.exit_code == 0
    outcome = json.loads(ended.stdout)
    berlin, paris = outcome["strata"]
    assert (berlin["name"], berlin["started"], berlin["counts"]["failed"]) == ("berlin", 12, 12)
    assert (paris["name"], paris["started"], paris["counts"]["completed"]) == ("paris", 8, 8)
    assert outcome["counts"]["total"] == berlin["counts"]["total"] + paris["counts"]["total"] == 20
    assert outcome["outages"] == [
        {"begins": 60, "ends": 180, "where": "the devices of paris", "devices": 8}
    ]


def test_the_report_and_the_chart_show_strata_and_outages(file: Path, tmp_path: Path) -> None:
    chart = tmp_path / "chart.svg"
    ended = rehearsed(file, "--stratum", "berlin:60%", "--outage", "2m@30s", "--chart", str(chart))

    words = " ".join(ended.stdout.split())
    assert "30 s outage begins: all devices, 20 devices" in words
    assert "2 min 30 s outage ends: all devices, 20 devices" in words
    assert (
        "stratum devices started completed failed queued gate berlin 12 12 12 0 0 open other 8"
        in words
    )
    assert "The rollout has no stratifyBy: its waves and gate ignore the strata." in words
    assert "outage: all devices, 20 of them" in chart.read_text()


def test_an_outage_that_the_rehearsal_did_not_reach_is_not_reported(file: Path) -> None:
    ended = rehearsed(file, "--outage", "1h@10h")

    assert ended.exit_code == 0
    assert "outage" not in ended.stdout


def test_a_stratified_rollout_spreads_its_waves_over_the_strata(file: Path) -> None:
    waves = '{"stratifyBy": ["tags.site"], "waves": [{"size": 10}], "successShare": "40%"}'
    file.write_text(ROLLOUT.replace("}}", f'}}, "strategy": {waves}}}'))
    gate = ("--stratum", "berlin:50%:fail=100%", "--stratum", "paris", "--json")

    outcome = json.loads(rehearsed(file, *gate).stdout)

    assert outcome["waves"][0]["failed"] == outcome["waves"][0]["completed"] == 5


def test_a_stratum_that_the_gate_freezes_is_shown_as_frozen_and_the_others_complete(
    file: Path,
) -> None:
    strategy = (
        '{"stratifyBy": ["tags.site"], "waves": [{"size": 8}],'
        ' "failureGate": {"onBreach": "freeze"}, "successShare": "50%"}'
    )
    file.write_text(ROLLOUT.replace("}}", f'}}, "strategy": {strategy}}}'))
    strata = ("--stratum", "berlin:50%:fail=100%", "--stratum", "paris")

    outcome = json.loads(rehearsed(file, *strata, "--fail-after", "30s", "--json").stdout)

    berlin, paris = outcome["strata"]
    assert (berlin["frozen"], berlin["started"], berlin["counts"]["queued"]) == (True, 4, 6)
    assert (paris["frozen"], paris["counts"]["completed"]) == (False, 10)
    assert outcome["overshoot"] == 0
    shown = " ".join(rehearsed(file, *strata, "--fail-after", "30s").stdout.split())
    assert "berlin 10 4 0 4 6 frozen paris 10 10 10 0 0 open" in shown
