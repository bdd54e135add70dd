"""Test that survivors of mutation tests are recognised, whatever their number."""

from pathlib import Path

import pytest

from tests.mutation import survivors
from tests.mutation.survivors import Survivor, read_accepted, write_survivors

DIFF = """--- functions/rollouts/rollout/gate.py
+++ functions/rollouts/rollout/gate.py
@@ -1,3 +1,3 @@
 def is_breached(failed: int) -> bool:
-    return failed > 1
+    return failed >= 1
"""


def read(name: str) -> Survivor:
    return Survivor.read(f"functions.rollouts.rollout.gate.{name}", DIFF)


def test_a_survivor_has_no_number() -> None:
    found = read("x_is_breached__mutmut_3")
    assert found == read("x_is_breached__mutmut_4")
    assert found.where == "functions.rollouts.rollout.gate.is_breached"
    assert (found.before, found.after) == ("return failed > 1", "return failed >= 1")


def test_a_method_is_named_with_its_class() -> None:
    found = read("x\u01c1Gate\u01c1is_breached__mutmut_3")
    assert found.where == "functions.rollouts.rollout.gate.Gate.is_breached"


def test_new_survivors_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survivors, "REPORT", tmp_path / "folder" / "mutation.txt")
    known, new = Survivor("a", "x", "y"), Survivor("b", "x", "y")
    text = write_survivors([known, new], {known: "has no effect"}).read_text()
    assert text.index("NEW") < text.index("has no effect")
    assert text.startswith("b\n  - x\n  + y\n")


def test_every_accepted_survivor_has_a_reason() -> None:
    assert all(reason for reason in read_accepted().values())
