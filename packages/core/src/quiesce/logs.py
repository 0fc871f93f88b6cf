"""The guide's log lines, exactly, with values that cannot forge a line."""

from __future__ import annotations

import json
import logging

from .model import Decision, EmergencyStep

logger = logging.getLogger("quiesce")

_LONGEST_VALUE = 300


def log_activated(*, reason: str, mode: str, window_id: str, actor: str) -> None:
    """Log that a window opened; an emergency in its own words."""
    extra = {"reason": reason, "mode": mode, "window_id": window_id, "actor": actor}
    if mode == "emergency":
        logger.warning(
            "[MAINTENANCE] Emergency mode activated: reason=%s admin=%s", quoted(reason), quoted(actor), extra=extra
        )
    else:
        logger.info("[MAINTENANCE] Maintenance mode activated: reason=%s", quoted(reason), extra=extra)


def log_blocked(decision: Decision, *, endpoint: str, user: str) -> None:
    """Log one refused request."""
    extra = {"endpoint": endpoint, "user": user, **_facts(decision)}
    logger.info("[MAINTENANCE] Operation blocked: endpoint=%s user=%s", quoted(endpoint), quoted(user), extra=extra)


def log_would_block(decision: Decision, *, endpoint: str, level: int) -> None:
    """Log one request that a test window would have refused."""
    extra = {"endpoint": endpoint, **_facts(decision)}
    logger.log(level, "[MAINTENANCE] Operation would be blocked: endpoint=%s", quoted(endpoint), extra=extra)


def log_deactivated(*, minutes: int, window_id: str, actor: str) -> None:
    """Log that a window ended after so many minutes."""
    extra = {"minutes": minutes, "window_id": window_id, "actor": actor}
    logger.info("[MAINTENANCE] Maintenance mode deactivated: duration=%s", quoted(f"{minutes} minutes"), extra=extra)


def log_session_invalidated(*, user: str, reason: str) -> None:
    """Log that a session of this user was found to be over, and why."""
    extra = {"user": user, "reason": reason}
    logger.info("[MAINTENANCE] Session invalidated: user=%s reason=%s", quoted(user), quoted(reason), extra=extra)


def log_step(step: EmergencyStep, *, window_id: str) -> None:
    """Log what came of one attempt at a step of an emergency."""
    level = logging.ERROR if step.problems else logging.INFO
    extra = {"step": step.name, "status": str(step.status), "window_id": window_id}
    said = quoted("; ".join(filter(None, (step.detail, *step.problems))))
    logger.log(
        level, "[MAINTENANCE] Emergency step %s: step=%s detail=%s", step.status, quoted(step.name), said, extra=extra
    )


def _facts(decision: Decision) -> dict[str, str]:
    window_id = "" if decision.window is None else decision.window.id
    return {"operation": decision.operation.name, "window_id": window_id}


def quoted(value: str) -> str:
    """Return the value as an ASCII JSON string: quotes, control characters and line separators come out escaped."""
    shown = value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + "…"
    return json.dumps(shown).replace("\x7f", "\\u007f")
