"""Store the budget on Table Storage."""

import json
from collections.abc import Mapping
from typing import Any

from functions.rollout_store.ports.records import Stored
from functions.rollout_store.table_storage import keys
from functions.rollout_store.table_storage.outage_json import health_from_json, health_to_json
from functions.rollout_store.table_storage.table import Row, Table
from functions.rollout_store.table_storage.values import to_json, to_text, to_time
from functions.rollouts.model.outage import HEALTHY
from functions.rollouts.model.quotas import Budget
from functions.rollouts.model.usage import MessageCosts


def budget_to_row(budget: Budget) -> Row:
    return {
        "PartitionKey": keys.CONTROLS,
        "RowKey": keys.BUDGET_ROW,
        "at": to_text(budget.at),
        "starts": float(budget.starts),
        "twinReads": float(budget.twin_reads),
        "queries": float(budget.queries),
        "factor": float(budget.factor),
        "messages": float(budget.messages_spent),
        "reserved": float(budget.reserved),
        "methodCost": float(budget.costs.method),
        "twinCost": float(budget.costs.twin),
        **_refusal_to_row(budget),
        **({} if budget.health == HEALTHY else {"health": to_json(health_to_json(budget.health))}),
    }


def _refusal_to_row(budget: Budget) -> Row:
    if budget.refused_until is None:
        return {}
    return {"refusedUntil": to_text(budget.refused_until), "refusedOf": float(budget.refused_of)}


def budget_from_row(row: Mapping[str, Any]) -> Budget:
    """Read the budget. A row of an earlier release lacks some values."""
    known = MessageCosts()
    return Budget(
        at=to_time(row["at"]),
        starts=row["starts"],
        twin_reads=row["twinReads"],
        queries=row["queries"],
        factor=row["factor"],
        messages_spent=row["messages"],
        reserved=row.get("reserved", 0.0),
        costs=MessageCosts(
            method=row.get("methodCost", known.method), twin=row.get("twinCost", known.twin)
        ),
        refused_until=to_time(row["refusedUntil"]) if "refusedUntil" in row else None,
        refused_of=row.get("refusedOf", 0.0),
        health=health_from_json(json.loads(row["health"])) if "health" in row else HEALTHY,
    )


class TableBudgetStore:
    """Implement `ports.budget.BudgetStore`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self) -> Stored[Budget] | None:
        row = self._table.get(keys.CONTROLS, keys.BUDGET_ROW)
        return Stored(budget_from_row(row.values), row.version) if row else None

    def save(self, budget: Budget, version: str | None) -> str:
        return self._table.write(budget_to_row(budget), version)
