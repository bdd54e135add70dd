"""What the documents say about names that live in the code is true."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from functions.dispatch_queue.storage_queue import POISON_QUEUE
from functions.errors import InvalidError
from functions.rollouts.model.audit_trail import ACTIONS
from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.rollouts.model.outage import ACCESS, DAILY_QUOTA
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.reason import SCHEDULED, WAITS
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.wave import WaveStatus
from functions.triggers.route import declared_routes
from functions.wire import create_request, parsing
from simulator.paths import REPOSITORY
from tests.functions.triggers.described import validator

DOCUMENTS = [*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").rglob("*.md"))]
README = (REPOSITORY / "README.md").read_text()
CONTRIBUTING = (REPOSITORY / "CONTRIBUTING.md").read_text()
API = (REPOSITORY / "docs/api.md").read_text()
HOW = (REPOSITORY / "docs/how-it-works.md").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    assert not [link for link in links if not (document.parent / link).exists()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_command_puts_a_key_into_a_url_which_is_logged_on_its_way(document: Path) -> None:
    assert not re.search(r"[?&]code=\$", document.read_text())


def test_every_make_command_in_the_documents_exists() -> None:
    text = " ".join(document.read_text() for document in DOCUMENTS)
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)) <= targets


def test_every_path_that_the_readme_names_exists() -> None:
    paths = re.findall(r"^\| `([a-z_/.]+)` \|", README, re.MULTILINE)
    assert len(paths) > 5
    assert not [path for path in paths if not (REPOSITORY / path).exists()]


def test_every_path_that_contributing_names_exists() -> None:
    paths = re.findall(r"`([a-z_/*.-]+/[a-z_/*.-]*)`", CONTRIBUTING)
    assert len(paths) > 15
    kept = [path for path in paths if not path.startswith(".local/")]  # commands write there
    assert not [path for path in kept if not list(REPOSITORY.glob(path.rstrip("/")))]


def test_every_setting_of_the_readme_is_read_by_the_code() -> None:
    section = README.split("## Settings")[1].split("## ")[0]
    names = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    code = "".join(path.read_text() for path in (REPOSITORY / "functions").rglob("*.py"))
    for name in names:
        parts = name.split("__")
        assert all(part in code for part in parts), name
    assert len(names) >= 5


def test_the_api_document_lists_exactly_the_routes_there_are() -> None:
    routes = {(route.path, route.method) for route in declared_routes()}
    documented = {
        (route, method)
        for method, route in re.findall(
            r"^\| `(GET|POST|PATCH|PUT|DELETE) /([^`?]+)", API, re.MULTILINE
        )
    }
    assert documented == routes


@pytest.mark.parametrize(
    "word",
    [*RolloutStatus, *WaveStatus, *DeviceState, *ErrorCode],
)
def test_every_word_of_the_api_is_explained(word: str) -> None:
    assert f"`{word}`" in API


def test_the_documented_body_is_accepted_as_it_stands() -> None:
    body = re.search(r"```json\n(.*?)```", API, re.DOTALL)
    assert body is not None
    text = body[1].replace("<64 hex digits, optional>", "ab" * 32)
    request = create_request.parse(text.encode())
    assert request.strategy == create_request.parse(_least()).strategy


def test_the_documented_responses_have_every_field() -> None:
    _, change, rollout, update = re.findall(r"```json\n(.*?)```", API, re.DOTALL)
    validator("ChangeRollout").validate(json.loads(change))
    validator("RolloutAnswer").validate(json.loads(rollout))
    validator("DeviceUpdateInFullAnswer").validate(json.loads(update))


def test_every_action_of_the_audit_trail_and_every_reason_of_a_rollout_is_listed() -> None:
    code = "".join(
        (REPOSITORY / "functions" / path).read_text()
        for path in (
            "rollouts/rollout/operator_commands.py",
            "rollouts/rollout/waves.py",
            "rollouts/rollout/evidence.py",
            "rollouts/rollout/breach.py",
            "rollouts/rollout/pacing.py",
            "rollouts/rollout/outages.py",
            "rollouts/rollout/control_group.py",
            "use_cases/draft.py",
            "use_cases/resolve_target.py",
            "use_cases/rollback.py",
        )
    )
    words = {*re.findall(r'add_event\(.*, "(\w+)"', code), *re.findall(r'code="(\w+)"', code)}
    words |= {DAILY_QUOTA, ACCESS, SCHEDULED, *WAITS}
    assert {"created", "rollbackCreated", "paused", "successShare"} <= words
    assert not [word for word in words if f"`{word}`" not in API]


def test_the_list_of_actions_is_complete() -> None:
    """The paragraph also names fields of an event."""
    listed = re.search(r"^An event is .*?\n\n", API, re.DOTALL | re.MULTILINE)
    assert listed is not None
    words = set(re.findall(r"`(\w+)`", listed[0]))
    assert words - {"by", "rollout"} == set(ACTIONS)


@pytest.mark.parametrize("tier", Tier)
def test_the_documented_quotas_are_those_that_pacing_keeps_to(tier: Tier) -> None:
    table = [
        [cell.strip() for cell in row.split("|")[1:-1]]
        for row in re.findall(r"^\|.* \|$", HOW.split("## Pacing")[1], re.MULTILINE)
    ]
    column = table[0].index(tier.value)
    methods, updates, reads, queries, messages = (row[column] for row in table[2:7])
    for units in (1,) if tier is Tier.F1 else (1, 30):
        limits = quotas(tier, units)
        assert _quota(methods, units) == limits.methods
        assert _quota(updates, units) == limits.twin_updates
        assert _quota(reads, units) == limits.twin_reads
        assert _quota(queries, units) == pytest.approx(limits.queries * 60)
        assert _quota(messages, units) == limits.messages_a_day


def _quota(cell: str, units: int) -> float:
    """Return the larger of the parts of `50, or 5 per unit`."""
    parts = [part.split() for part in cell.split(", or ")]
    return max(
        float(part[0].replace(",", "")) * (units if part[1:] == ["per", "unit"] else 1)
        for part in parts
    )


def test_the_documented_limits_are_the_limits() -> None:
    assert f"1 to {create_request.MAX_DEVICES:,}" in API
    assert parsing.MAX_BODY_BYTES == 2**24
    too_many: dict[str, Any] = {str(n): "x" for n in range(create_request.MAX_LABELS + 1)}
    assert f"| {create_request.MAX_LABELS};" in API
    with pytest.raises(InvalidError):
        create_request.parse(_least(labels=too_many))


def test_the_poison_queue_has_a_name_that_storage_takes() -> None:
    assert len(POISON_QUEUE) <= 63


def _least(**changes: Any) -> bytes:
    firmware = {"version": "1", "packageUri": "https://packages.example/fw.bin"}
    return json.dumps({"firmware": firmware, "target": {"deviceIds": ["a"]}} | changes).encode()
