"""Convert a rollback to a stored text and back."""

from functions.rollouts.model.rollback import Rollback, RollbackDue, RolledBack

_DUE = "due:"


def rollback_to_text(rollback: Rollback | None) -> str | None:
    """Write a rollback as its id; one that is due as "due:" and its id, if it has one already."""
    match rollback:
        case RollbackDue(rollback_id):
            return f"{_DUE}{rollback_id or ''}"
        case RolledBack(rollback_id):
            return rollback_id
        case None:
            return None


def rollback_from_text(text: str | None) -> Rollback | None:
    if text is None:
        return None
    if text.startswith(_DUE):
        return RollbackDue(text.removeprefix(_DUE) or None)
    return RolledBack(text)
