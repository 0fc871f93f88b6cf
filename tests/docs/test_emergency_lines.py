"""The log lines that the page about emergencies shows are those that are logged."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from quiesce import Decision, EmergencyStep, MaintenanceWindow, Mode, OperationType, Outcome
from quiesce.control.emergency_logging import EmergencyLogging
from quiesce.logs import log_blocked, log_step
from quiesce.model import EffectiveMaintenance, StepStatus
from quiesce.testing.clock import NOON


def test_shown_lines_are_logged_like_that(
    blocks: Mapping[str, tuple[Any, ...]], caplog: pytest.LogCaptureFixture
) -> None:
    """Operators write their alerts from it."""
    (block,) = [block for block in blocks["docs/how-to/handle-an-emergency.md"] if block.language == "text"]
    window = MaintenanceWindow(id="71ff4542", mode=Mode.EMERGENCY, reason="r", owner="o", starts_at=NOON)
    refused = Decision(Outcome.REFUSED, OperationType.USER_DATA_MODIFICATION, "rule", window, 1)
    worker = EmergencyLogging()

    worker.hear(EffectiveMaintenance((window,)))
    try:
        log_blocked(refused, endpoint="/orders", user="bob")
        log_step(EmergencyStep(name="jobs", status=StepStatus.DONE, detail="2 terminated"), window_id=window.id)
    finally:
        worker.stop()

    assert [record.getMessage() for record in caplog.records if record.name == "quiesce"] == block.text.splitlines()
    assert {record.levelno for record in caplog.records} == {logging.INFO}
