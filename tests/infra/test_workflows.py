"""Workflows, actions and pipelines are valid and secure, and a broken copy is noticed."""

from pathlib import Path

import pytest

from tests.infra.workflow_rules import REPOSITORY, Kind, find_files, find_problems, kind_of

DEPLOY = REPOSITORY / ".github/workflows/deploy.yml"


def test_every_workflow_action_and_pipeline_passes() -> None:
    paths = find_files(REPOSITORY)
    assert {path.name for path in paths} >= {"ci.yml", "deploy.yml"}
    assert {kind_of(path) for path in paths} >= {Kind.WORKFLOW, Kind.AZURE_PIPELINE}
    assert find_problems(paths) == []


@pytest.mark.parametrize(
    ("text", "other", "finding"),
    [
        ("runs-on: ubuntu-24.04", "run-on: ubuntu-24.04", "run-on"),
        ("runs-on: ubuntu-24.04", "runs-on: ubuntu-24.4", "ubuntu-24.4"),
        ("${{ vars.AZURE_CLIENT_ID }}", "${{ var.AZURE_CLIENT_ID }}", "undefined variable"),
        ("needs: build", "needs: built", "built"),
        ("@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a # v7.0.1", "@v7", "unpinned-uses"),
        ("        with:\n          persist-credentials: false\n", "", "artipacked"),
        ("$GITHUB_REPOSITORY/actions", "${{ github.ref_name }}/actions", "template-injection"),
        ("permissions:\n      contents: read", "permissions: write-all", "excessive-permissions"),
        ("timeout-minutes: 60", "timeout-minutes: soon", "timeout-minutes"),
    ],
)
def test_a_broken_workflow_is_found(tmp_path: Path, text: str, other: str, finding: str) -> None:
    before = DEPLOY.read_text()
    assert text in before
    broken = tmp_path / ".github/workflows/deploy.yml"
    broken.parent.mkdir(parents=True)
    broken.write_text(before.replace(text, other, 1))
    assert finding in "\n".join(find_problems([broken]))


@pytest.mark.parametrize(
    ("name", "content", "finding"),
    [
        ("azure.yml", "trigger: none\nsteps:\n- scrip: make\n", "azure.yml"),
        ("azure.yml", "pool: {vmImage: x}\njobs:\n- job: a\n  step: []\n", "azure.yml"),
        ("action.yml", "name: a\nruns: {using: composite, steps: [{run: make}]}\n", "action.yml"),
        (
            "action.yml",
            "name: a\ndescription: b\nruns: {using: composite, steps: [uses: actions/checkout@v4]}",
            "unpinned-uses",
        ),
    ],
)
def test_a_broken_pipeline_or_action_is_found(
    tmp_path: Path, name: str, content: str, finding: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert finding in "\n".join(find_problems([path]))


def test_a_deployment_can_do_no_more_than_it_needs() -> None:
    text = DEPLOY.read_text()
    assert "\npermissions: {}\n" in text
    assert "write" not in text.replace("id-token: write", "")
    assert "secrets." not in text
