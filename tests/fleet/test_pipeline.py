"""Check `fleet pipeline` in this process: inputs, limits, comments, and texts that are no commands.

tests/pipelines runs it as the action's steps do.
"""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import Result

from fleet.pipeline.escaping import code, log_line
from fleet.pipeline.platforms import MAX_ANNOTATIONS, MAX_SUMMARY_BYTES, GitHub, detect, fit
from fleet.pipeline.report import Failures, find_failures, rollout_report
from fleet.responses import Json
from simulator.simulated_fleet.shares import Fault
from tests.fleet.conftest import Cloud, advancing

GIVEN = {
    "FLEET_INPUT_VERSION": "2.4.0",
    "FLEET_INPUT_PACKAGE_URI": "https://packages.example/fw.bin",
    "FLEET_INPUT_DEVICE": "d-000",
    "FLEET_INPUT_IDEMPOTENCY_KEY": "build-1",
}
ATTACKS = (
    "::error::fake",
    "  ::set-output name=a::b",
    "##[error]fake",
    "###[error]fake",
    "##vso[task.setvariable variable=a]b",
    "a\n::warning::b",
    "a\r##vso[task.complete]",
    "a\u2028::error::b",
    "\x1b[2J::error::b",
)
MARKDOWN = "![x](https://evil.example/a.png) @ada #1 <img src=x> | a | `b` **c** &lt; <!-- \\"


@pytest.fixture
def github(tmp_path: Path) -> dict[str, str]:
    names = ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
    files = {name: str(tmp_path / name) for name in names}
    return {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "1", **files, **GIVEN}


@pytest.fixture
def azure(tmp_path: Path) -> dict[str, str]:
    return {
        "TF_BUILD": "True", "BUILD_BUILDID": "7", "AGENT_TEMPDIRECTORY": str(tmp_path), **GIVEN
    }  # fmt: skip


def run(cloud: Cloud, variables: dict[str, str], **inputs: str) -> Result:
    given = {f"FLEET_INPUT_{name.upper()}": value for name, value in inputs.items()}
    result = cloud.run("pipeline", **{**variables, **given})
    assert not re.search(r"^Traceback", result.output, re.MULTILINE)
    return result


def summary(variables: dict[str, str]) -> str:
    return Path(variables["GITHUB_STEP_SUMMARY"]).read_text()


@pytest.mark.parametrize(
    "inputs",
    [
        {"soak": "a while"},
        {"steps": "plan, deploy"},
        {"attempts": "many"},
        {"fail_on_pause": "perhaps"},
        {"comment": "yes"},
        {"condition": "tags.a = 1"},
        {"steps": "wait"},
        {"file": "no-such-file.json"},
        {"wave": "canary"},
        {"timeout": "soon"},
        {"patience": "long"},
    ],
)
def test_wrong_inputs_are_refused(
    cloud: Cloud, github: dict[str, str], inputs: dict[str, str]
) -> None:
    result = run(cloud, github, **inputs)
    assert result.exit_code == 2
    assert result.stdout.count("::error title=The inputs cannot be used::") == 1
    assert summary(github).startswith("## The inputs cannot be used")
    assert json.loads(cloud.run("list", "--json").stdout)["value"] == []


def test_each_job_of_an_azure_pipeline_has_an_idempotency_key_which_its_attempts_share() -> None:
    """Microsoft Learn, "Use predefined variables", System variables."""
    build = {"TF_BUILD": "True", "SYSTEM_COLLECTIONID": "c", "BUILD_BUILDID": "7"}
    job = {"SYSTEM_STAGENAME": "rollout", "SYSTEM_PHASENAME": "berlin"}
    leg = {"SYSTEM_JOBNAME": "__default"}

    def key(**changes: str) -> str | None:
        return detect(build | job | leg | changes).idempotency_key

    assert key() == key(SYSTEM_JOBATTEMPT="2", SYSTEM_JOBID="another-guid")
    changes = ("BUILD_BUILDID", "SYSTEM_STAGENAME", "SYSTEM_PHASENAME", "SYSTEM_JOBNAME")
    assert len({key(), *(key(**{name: "x"}) for name in changes)}) == 5


def test_a_wrong_key_is_not_shown(cloud: Cloud, github: dict[str, str]) -> None:
    wrong = "another-key-of-a-secret"
    result = run(cloud, {**github, "FLEET_KEY": wrong})
    assert result.exit_code == 4
    assert wrong not in result.output + summary(github)
    assert "::error title=The sign-in failed::" in result.stdout


def test_a_failed_rollout_lists_codes_and_worst_devices(
    cloud: Cloud, github: dict[str, str]
) -> None:
    for device in cloud.world.hub.devices.values():
        device.fault = Fault.FAILING
    cloud.between = advancing(cloud)
    result = run(cloud, github, device="d-000\n\n d-001 \n", on_breach="cancel")
    assert result.exit_code == 1, result.output
    assert "| <code>reported</code> |" in summary(github)
    assert "<code>d-001</code>" in summary(github)


def test_a_rollout_that_does_not_end_in_time_is_shown(cloud: Cloud, github: dict[str, str]) -> None:
    result = run(cloud, github, timeout="1s")
    assert result.exit_code == 3
    assert "has not ended in time" in summary(github)
    assert "## Rollout of" in summary(github)


def test_a_build_without_an_id_needs_a_key(cloud: Cloud) -> None:
    result = run(cloud, {**GIVEN, "FLEET_INPUT_IDEMPOTENCY_KEY": ""})
    assert result.exit_code == 2
    assert "set idempotency-key" in result.stdout


def test_any_other_service_has_it_all_in_the_log(cloud: Cloud) -> None:
    cloud.between = advancing(cloud)
    result = run(cloud, GIVEN)
    assert result.exit_code == 0
    assert "status=completed" in result.stdout


def test_azure_pipelines_gets_its_commands(cloud: Cloud, azure: dict[str, str]) -> None:
    cloud.between = advancing(cloud)
    result = run(cloud, azure)
    assert result.exit_code == 0, result.output
    assert "##vso[task.setvariable variable=status;isOutput=true]completed" in result.stdout
    uploaded = re.findall(r"^##vso\[task\.uploadsummary](.+)$", result.stdout, re.MULTILINE)
    assert len(uploaded) == 2
    assert "## Rollout of" in Path(uploaded[1]).read_text()
    refused = run(cloud, azure, device="unknown", idempotency_key="other")
    assert refused.exit_code == 2
    assert "##vso[task.logissue type=error]The rollout was refused" in refused.stdout


def commands(log: str) -> list[str]:
    """Return the lines that GitHub or Azure Pipelines obeys."""
    return [line for line in log.splitlines() if line.lstrip().startswith("::") or "##" in line]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_text_of_a_device_is_no_command(
    cloud: Cloud, github: dict[str, str], attack: str
) -> None:
    cloud.world.hub.devices["d-000"].fault = Fault.FAILING
    cloud.between = advancing(cloud)

    def say(request: httpx.Request) -> httpx.Response | None:
        """Put the text wherever the service repeats what a device or an operator wrote."""
        advancing(cloud)(request)
        cloud.between = lambda _: None
        response = cloud.handle(request)
        cloud.between = say
        text = response.text.replace("simulated failure", json.dumps(attack)[1:-1])
        return httpx.Response(response.status_code, json=_spoilt(json.loads(text), attack))

    cloud.between = say
    result = run(cloud, github, on_breach="cancel")
    assert result.exit_code == 1, result.output
    obeyed = commands(result.stdout)
    known = r"::(group|endgroup)::.*|::(error|warning) title=[^:]*::.*"
    assert [line for line in obeyed if not re.fullmatch(known, line)] == []
    assert not re.search(r"^\s*::(error|warning)::", result.stdout, re.MULTILINE)


def _spoilt(value: Any, attack: str) -> Any:
    if isinstance(value, dict):
        return {
            name: attack if name in {"message", "by", "example"} else _spoilt(item, attack)
            for name, item in value.items()
        }
    return [_spoilt(item, attack) for item in value] if isinstance(value, list) else value


@given(st.text())
def test_no_text_is_a_command_in_the_log(text: str) -> None:
    line = log_line(text)
    assert not line.lstrip().startswith("::")
    assert "##" not in line
    assert len(line.splitlines()) <= 1


@given(st.one_of(st.text(), st.just(MARKDOWN)))
def test_no_text_is_more_than_text_in_markdown(text: str) -> None:
    shown = code(text).removeprefix("<code>").removesuffix("</code>")
    assert not set(re.sub(r"&#\d+;", "", shown)) & set('<>`*_[]|\\@:~!"&\n\r')
    assert "#" not in re.sub(r"&#\d+;", "", shown)


def big_rollout(waves: int) -> Json:
    counts = {"total": 1, "queued": 0, "updating": 0, "completed": 0, "failed": 1,
              "cancelled": 0, "skipped": 0}  # fmt: skip
    wave = {"name": "|" * 200, "size": 1, "status": "failed", "counts": counts}
    return {
        "id": "r", "status": "failed", "firmware": {"version": "<" * 100_000}, "counts": counts,
        "statusReason": {"code": "failureGate", "message": "&" * 100_000},
        "waves": [wave] * waves,
        "strategy": {"failureGate": {"acceptable": "1%", "unacceptable": "2%", "onBreach": "x"}},
        "gate": [{"wave": "x" * 9_999, "failed": 1, "healthy": 1}] * waves,
        "failures": [{"code": "c" * 999, "count": 1, "example": "*" * 9_999}] * waves,
    }  # fmt: skip


def test_a_summary_stays_within_githubs_limit(github: dict[str, str]) -> None:
    failures = Failures(big_rollout(1_000)["failures"], ())
    platform = GitHub(github)
    for _ in range(20):
        platform.add_summary(rollout_report(big_rollout(1_000), failures, "https://a.example"))
    assert 500_000 < len(summary(github).encode()) <= MAX_SUMMARY_BYTES < 2**20


@given(st.text(), st.integers(0, 300))
def test_a_text_that_is_cut_fits(text: str, size: int) -> None:
    assert len(fit(text, size).encode(errors="surrogatepass")) <= size


def test_annotations_stay_within_the_limit(
    github: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    platform = GitHub(github)
    for number in range(50):
        platform.annotate("warning" if number % 2 else "error", "title: a, b", "100%\n::error::x")
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == MAX_ANNOTATIONS
    assert printed[0] == "::error title=title%3A a%2C b::100%25 ::error::x"


def test_an_output_is_one_value(github: dict[str, str]) -> None:
    GitHub(github).set_output("rolloutId", "a\nstatus=completed")
    name, value, _ = Path(github["GITHUB_OUTPUT"]).read_text().splitlines()
    assert name.startswith("rollout-id<<")
    assert value == "a status=completed"


def test_the_worst_devices_took_the_most_attempts() -> None:
    failed = [
        {"deviceId": f"d{n}", "attempt": n % 3, "endedAt": f"2026-01-01T00:00:{59 - n}Z",
         "error": {"code": "reported" if n % 2 else "timedOut", "message": ""}}
        for n in range(20)
    ]  # fmt: skip
    found = find_failures({}, failed)
    assert [item["deviceId"] for item in found.worst][:3] == ["d17", "d14", "d11"]
    assert len(found.worst) == 10
    assert [(item["code"], item["count"]) for item in found.by_code] == [
        ("timedOut", 10), ("reported", 10),
    ]  # fmt: skip


NOT_WRITTEN = "The plan could not be written as a comment"


class TestComments:
    """The plan as a comment: one of each pull request."""

    def test_github(self, cloud: Cloud, github: dict[str, str], tmp_path: Path) -> None:
        mine = {"id": 1, "user": {"type": "User"}, "body": "<!-- fleet plan -->mine"}
        written: list[Any] = [mine]

        def respond(request: httpx.Request) -> httpx.Response | None:
            if request.url.host != "api.github.example":
                return None
            assert request.headers["Authorization"] == "Bearer github-token"
            if request.method == "GET":
                return httpx.Response(200, json=written)
            body = json.loads(request.content)["body"]
            if request.method == "PATCH":
                written[int(request.url.path.rpartition("/")[2]) - 1]["body"] = body
            else:
                written.append({"id": len(written) + 1, "user": {"type": "Bot"}, "body": body})
            return httpx.Response(201, json={})

        cloud.between = respond
        self._of_pull_request(github, tmp_path)
        token = {"steps": "plan", "comment": "true", "github_token": "github-token"}
        assert run(cloud, github, **token).exit_code == 0
        assert run(cloud, github, **token, device="d-001").exit_code == 0
        assert len(written) == 2
        assert written[0]["body"].endswith("mine")
        assert "1 device" in written[1]["body"]

    def test_azure_devops(self, cloud: Cloud, azure: dict[str, str]) -> None:
        written: list[Any] = []

        def respond(request: httpx.Request) -> httpx.Response | None:
            if request.url.host != "dev.azure.example":
                return None
            assert request.url.path.startswith("/acme/a b/_apis/git/repositories/r/pullRequests/3/")
            if request.method == "GET":
                return httpx.Response(200, json={"value": written})
            body = json.loads(request.content)
            if request.method == "PATCH":
                written[0]["comments"][0]["content"] = body["content"]
            else:
                comment = {"id": 1, "content": body["comments"][0]["content"]}
                written.append({"id": 9, "comments": [comment]})
            return httpx.Response(200, json={})

        cloud.between = respond
        variables = {
            **azure,
            "SYSTEM_PULLREQUEST_PULLREQUESTID": "3",
            "SYSTEM_COLLECTIONURI": "https://dev.azure.example/acme/",
            "SYSTEM_TEAMPROJECT": "a b",
            "BUILD_REPOSITORY_ID": "r",
            "SYSTEM_ACCESSTOKEN": "token",
        }
        for device in ("d-000", "d-000\nd-001"):
            result = run(cloud, variables, steps="plan", comment="true", device=device)
            assert (result.exit_code, NOT_WRITTEN in result.stdout) == (0, False), result.output
        assert "2 devices" in written[0]["comments"][0]["content"]
        assert len(written) == 1

    @pytest.mark.parametrize("status", [403, 500])
    def test_one_that_is_refused_leaves_a_warning(
        self, cloud: Cloud, github: dict[str, str], tmp_path: Path, status: int
    ) -> None:
        cloud.between = lambda request: (
            httpx.Response(status) if request.url.host == "api.github.example" else None
        )
        self._of_pull_request(github, tmp_path)
        result = run(cloud, github, steps="plan", comment="true", github_token="t")
        assert result.exit_code == 0
        assert f"::warning title={NOT_WRITTEN}::" in result.stdout

    def test_none_if_the_build_is_of_no_pull_request(
        self, cloud: Cloud, github: dict[str, str], tmp_path: Path
    ) -> None:
        self._of_pull_request(github, tmp_path)
        Path(github["GITHUB_EVENT_PATH"]).write_text("{}")
        result = run(cloud, github, steps="plan", comment="true")
        assert (result.exit_code, NOT_WRITTEN in result.stdout) == (0, False)

    def _of_pull_request(self, github: dict[str, str], folder: Path) -> None:
        (folder / "event.json").write_text('{"pull_request": {"number": 3}}')
        github |= {
            "GITHUB_EVENT_PATH": str(folder / "event.json"),
            "GITHUB_API_URL": "https://api.github.example",
            "GITHUB_REPOSITORY": "acme/firmware",
        }
