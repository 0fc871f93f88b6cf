"""Operators: each records its commands and the verdicts that it was given, through the service or the command line."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from quiesce import (
    EnhancedMaintenanceModeService,
    MaintenanceWindow,
    NoOpenWindowError,
    QuiescenceReport,
    Settings,
    StoreError,
    WindowOpenError,
)

from .history import Ending, Extending, Opening, Outcome, Recorder, Verdict, now

_CLI_SECONDS = 60
_EXIT_CODES = {0: Outcome.DONE, 4: Outcome.UNKNOWN, 5: Outcome.CONFLICT}


class Operator:
    """One operator on a store; every command is recorded with the time it was asked and when it had returned.

    Args:
        name: no other operator's.
        store_url: as the operators' machine reaches it.
        folder: where the history lies.
    """

    def __init__(self, name: str, *, store_url: str, folder: Path) -> None:
        self.name = name
        self.service = EnhancedMaintenanceModeService(Settings(store_url=store_url))
        self._store_url = store_url
        self._recorder = Recorder(folder)
        self._commands = 0

    def enable(self, mode: str, *, timeout: timedelta | None = None) -> str:
        """Open a window through the service; return its id, empty when there is none or nobody knows."""
        asked, reason = now(), self._next_reason()
        window: MaintenanceWindow | None = None
        try:
            window = self.service.enable(reason=reason, mode=mode, actor=self.name, timeout=timeout)
            outcome = Outcome.DONE
        except WindowOpenError:
            outcome = Outcome.CONFLICT
        except StoreError:
            outcome = Outcome.UNKNOWN
        self._record_opening(
            asked,
            outcome,
            mode=mode,
            reason=reason,
            window="" if window is None else window.id,
            until=None if window is None else window.closes_at,
        )
        return "" if window is None else window.id

    def prove(self, window: str, mode: str, *, timeout: timedelta, expected: int = 1) -> bool:
        """Wait for the proof of quiescence; say whether it came."""
        return self._verdict(
            lambda: self.service.wait_until_quiesced(timeout=timeout, expected_workers=expected), window, mode
        )

    def look(self, window: str, mode: str) -> bool:
        """Ask for a report of now; say whether it says quiesced."""
        return self._verdict(self.service.quiescence, window, mode)

    def disable(self, window: str | None) -> Outcome:
        """End the window, or all."""
        asked = now()
        ended: tuple[str, ...] = ()
        try:
            windows = self.service.disable(window_id=window, end_all=window is None, actor=self.name)
            ended = tuple(each.id for each in windows)
            outcome = Outcome.DONE
        except NoOpenWindowError:
            outcome = Outcome.NOTHING
        except StoreError:
            outcome = Outcome.UNKNOWN
        self._record_ending(asked, outcome, target=window or "", ended=ended)
        return outcome

    def extend(self, window: str) -> None:
        """Extend the window by a span of its own."""
        asked = now()
        self._commands += 1
        seconds = 60 + self._commands * 10 + ord(self.name[0]) % 10
        try:
            self.service.extend(by=seconds, window_id=window, actor=self.name)
            outcome = Outcome.DONE
        except NoOpenWindowError:
            outcome = Outcome.NOTHING
        except StoreError:
            outcome = Outcome.UNKNOWN
        self._recorder.record(
            Extending(asked=asked, returned=now(), by=self.name, outcome=outcome, window=window, seconds=seconds)
        )

    def enable_by_command_line(self, mode: str, *, wait_seconds: int) -> tuple[str, bool]:
        """Open a window with ``quiesce enable --wait``; return its id, and whether the system was proved quiet."""
        asked, reason = now(), self._next_reason()
        options = ["--reason", reason, "--mode", mode, "--wait", f"{wait_seconds}s"]
        code, document = self._run("enable", *options)
        window = document.get("window")
        if window is None:
            self._record_opening(asked, _EXIT_CODES[code], mode=mode, reason=reason, window="", until=None)
            return "", False
        until = datetime.fromisoformat(window["ends_at"]) if window["ends_at"] else None
        self._record_opening(asked, Outcome.DONE, mode=mode, reason=reason, window=window["id"], until=until)
        report = document.get("quiescence")
        if report is None or code != 0:
            return window["id"], False
        pids = {worker["id"]: worker["pid"] for worker in report["workers"]}
        verdict = Verdict(
            asked=asked,
            answered=now(),
            by=f"{self.name}, quiesce",
            window=window["id"],
            mode=mode,
            revision=report["revision"],
            is_quiesced=report["quiesced"],
            holds_until=_on_our_clock(datetime.fromisoformat(report["holds_until"]) if report["holds_until"] else None),
            confirmed=tuple(pids[each] for each in report["confirmed"]),
            unconfirmed=tuple(pids[each] for each in report["unconfirmed"]),
        )
        self._recorder.record(verdict)
        return window["id"], verdict.is_quiesced

    def disable_by_command_line(self, window: str | None) -> None:
        """End the window, or all, with ``quiesce disable``."""
        asked = now()
        code, document = self._run("disable", *(["--all"] if window is None else ["--window", window]))
        ended = tuple(each["id"] for each in document.get("ended", ()))
        outcome = Outcome.DONE if ended else _EXIT_CODES[code]
        self._record_ending(
            asked, Outcome.NOTHING if outcome is Outcome.CONFLICT else outcome, target=window or "", ended=ended
        )

    def die_enabling(self, mode: str, *, after_seconds: float) -> None:
        """Be killed somewhere in ``quiesce enable``, so that nobody knows what came of it."""
        asked, reason = now(), self._next_reason()
        command = self._command("enable", "--reason", reason, "--mode", mode)
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, env=self._environment(), capture_output=True, timeout=after_seconds, check=False)
        self._record_opening(asked, Outcome.UNKNOWN, mode=mode, reason=reason, window="", until=None)

    def close(self) -> None:
        """Release the store."""
        self.service.close()

    def _verdict(self, ask: Callable[[], QuiescenceReport], window: str, mode: str) -> bool:
        asked = now()
        try:
            report = ask()
        except StoreError:
            return False
        pids = {each.worker.id: each.worker.pid for each in report.workers}
        self._recorder.record(
            Verdict(
                asked=asked,
                answered=now(),
                by=self.name,
                window=window,
                mode=mode,
                revision=report.revision,
                is_quiesced=report.quiesced,
                holds_until=_on_our_clock(report.holds_until),
                confirmed=tuple(pids[each] for each in report.confirmed),
                unconfirmed=tuple(pids[each] for each in report.unconfirmed),
            )
        )
        return report.quiesced

    def _next_reason(self) -> str:
        self._commands += 1
        return f"trial-{self.name}-{os.getpid()}-{self._commands}"

    def _record_opening(
        self, asked: float, outcome: Outcome, *, mode: str, reason: str, window: str, until: datetime | None
    ) -> None:
        self._recorder.record(
            Opening(
                asked=asked,
                returned=now(),
                by=self.name,
                outcome=outcome,
                mode=mode,
                reason=reason,
                window=window,
                holds_until=_on_our_clock(until),
            )
        )

    def _record_ending(self, asked: float, outcome: Outcome, *, target: str, ended: tuple[str, ...]) -> None:
        self._recorder.record(
            Ending(asked=asked, returned=now(), by=self.name, outcome=outcome, target=target, ended=ended)
        )

    def _run(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        command, environment = self._command(*arguments), self._environment()
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_CLI_SECONDS, check=False
        )
        if done.returncode not in {*_EXIT_CODES, 3}:
            raise RuntimeError(f"quiesce {arguments} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.returncode, json.loads(done.stdout) if done.stdout.strip() else {}

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "quiesce.cli", *arguments, "--json"]

    def _environment(self) -> dict[str, str]:
        return os.environ | {"MAINTENANCE_STORE_URL": self._store_url}


def _on_our_clock(until: datetime | None) -> float | None:
    return None if until is None else now() + (until - datetime.now(UTC)).total_seconds()
