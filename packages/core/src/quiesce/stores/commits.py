"""What every store asks of a commit before it writes."""

from __future__ import annotations

from ..model import InvalidValueError, MaintenanceState


def check_commit(state: MaintenanceState, *, expected_revision: int) -> None:
    """Raise ``InvalidValueError`` unless the state's revision grows."""
    if not 0 <= expected_revision < state.revision < 2**63:
        raise InvalidValueError("revision", f"{state.revision} does not follow {expected_revision}")
