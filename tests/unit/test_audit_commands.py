"""The audit trail on the command line, over HTTP, and as it ages."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from quiesce import AuditVerdict, ConflictError, MaintenanceState, Outcome
from quiesce.cli.program import program
from quiesce.control import EnhancedMaintenanceModeService
from quiesce.control.audit_facts import describe_counts
from quiesce.control.audit_upkeep import AuditUpkeep
from quiesce.model import CallerKind, CountKey
from quiesce.testing import FakeClock, eventually
from quiesce.web import PREFIX, ApiRequest, MaintenanceStatusAPI

Service = EnhancedMaintenanceModeService
MakeService = Callable[..., Service]
TOKEN = "a-token-of-the-tests"
KEY = "a-key-of-the-tests"
FORMULA = '=HYPERLINK("http://evil.example";"open me")'


@pytest.fixture
def service(make_service: MakeService, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service whose store the commands find by the environment."""
    monkeypatch.setenv("MAINTENANCE_STORE_URL", sqlite_url)
    monkeypatch.setenv("MAINTENANCE_SECRET_KEY", KEY)
    service = make_service(sqlite_url, admin_token=TOKEN, secret_key=KEY)
    window = service.enable(reason="upgrade", duration=60, actor=FORMULA)
    service.extend(by=60, actor="ann")
    service.disable(window_id=window.id, actor="ann")
    return service


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = program.main([*arguments], "quiesce", standalone_mode=False)
    told = capsys.readouterr()
    return code, told.out, told.err


def damage(url: str, statement: str) -> None:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    with connection:
        assert connection.execute(statement).rowcount == 1
    connection.close()


def test_what_changed_stands_in_the_record(service: Service) -> None:
    """An auditor asks what was there before, and not every detail says it."""
    opened, extended, ended = service.audit.tail()

    assert (opened.before, json.loads(opened.after)["reason"]) == ("", "upgrade")
    assert json.loads(extended.before)["estimated_seconds"] == 60
    assert json.loads(extended.after)["estimated_seconds"] == 120
    assert list(json.loads(ended.after)) == ["ended_at"]
    assert {record.result for record in service.audit.records()} == {"done"}
    assert all(record.origin for record in service.audit.records())


def test_an_intact_trail_is_shown_and_called_so(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """The first question after an incident, and the one before an audit."""
    code, shown, _ = run(capsys, "audit", "tail", "-n", "2")
    assert (code, "2 records" in shown, "window.extended" in shown, "window.enabled" in shown) == (0, True, True, False)

    code, document, _ = run(capsys, "audit", "verify", "--json")
    found = json.loads(document)
    assert (code, found["verdict"], found["records"], found["keyed"]) == (0, "intact", 3, 3)
    assert run(capsys, "audit", "verify", "--head", found["head_hash"])[0] == 0
    assert run(capsys, "audit", "verify", "--head", "sha256:00")[0] == 6


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("UPDATE audit SET body = replace(body, 'ann', 'bob') WHERE number = 2", "changed"),
        ("DELETE FROM audit WHERE number = 2", "out_of_order"),
        ("DELETE FROM audit WHERE number = 3", "tail"),
    ],
)
def test_damage_has_an_exit_code_of_its_own(
    service: Service, sqlite_url: str, capsys: pytest.CaptureFixture[str], statement: str, kind: str
) -> None:
    """A nightly job looks at nothing else."""
    damage(sqlite_url, statement)

    code, _, error = run(capsys, "audit", "verify", "--json")

    document = json.loads(error)
    assert (code, document["kind"]) == (6, "audit_broken")
    assert kind in {finding["kind"] for finding in document["findings"]}
    with pytest.raises(ConflictError):
        service.audit.prune(before=service.clock.now() + timedelta(days=1), actor="ann")
    assert service.audit.verify().verdict is AuditVerdict.BROKEN


def test_a_command_without_the_key_is_named(
    service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator's shell lacks the application's environment: that must show before an auditor finds it."""
    monkeypatch.delenv("MAINTENANCE_SECRET_KEY")
    assert run(capsys, "enable", "--reason", "x")[0] == 0
    assert service.audit.verify().verdict is AuditVerdict.RESTARTED
    code, _, error = run(capsys, "audit", "verify")

    assert code == 6
    assert "hashed with a key that MAINTENANCE_SECRET_KEY does not hold here" in error


def test_the_export_is_whole_and_runs_nothing(
    service: Service, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A reason is whatever somebody typed, and a spreadsheet runs what looks like a formula."""
    code, lines, _ = run(capsys, "audit", "export")
    records = [json.loads(line) for line in lines.splitlines()]
    assert (code, [each["number"] for each in records], records[0]["actor"]) == (0, [1, 2, 3], FORMULA)

    output = tmp_path / "trail.csv"
    code, document, _ = run(capsys, "audit", "export", "--format", "csv", "--output", str(output), "--json")
    assert (code, json.loads(document)["records"]) == (0, 3)
    rows = list(csv.DictReader(io.StringIO(output.read_text(encoding="utf-8"), newline="")))
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert [row["actor"] for row in rows] == [f"'{FORMULA}", "ann", "ann"]
    assert not any(re.match(r"[=+\-@\t\r]", cell) for row in rows for cell in row.values())
    assert run(capsys, "audit", "export", "--json")[0] == 2


def test_old_records_go_and_who_dropped_them_stays(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """What the law says must go, goes; that it went is itself a record."""
    code, _, error = run(capsys, "audit", "prune", "--before", "2999-01-01T00:00:00")
    assert (code, "no time zone" in error) == (2, True)

    code, document, _ = run(capsys, "audit", "prune", "--before", "2999-01-01T00:00:00Z", "--json")

    assert (code, json.loads(document)["dropped"]) == (0, 2)
    report = service.audit.verify()
    assert (report.verdict, report.dropped, report.records) == (AuditVerdict.INTACT, 2, 2)
    assert [record.action for record in service.audit.tail()] == ["window.ended", "audit.pruned"]


def test_pruning_that_was_cut_short_is_finished(service: Service) -> None:
    """Its process died between noting what goes and dropping it: that must not look like an attack for ever."""
    store, state = service.store, service.store.load()
    first = next(service.audit.records())
    anchors = replace(state.audit, dropped_number=first.number, dropped_hash=first.hash)
    state = replace(state, revision=state.revision + 1, audit=anchors)
    store.commit(state, expected_revision=state.revision - 1, audit=[])
    assert service.audit.verify().verdict is AuditVerdict.BROKEN

    service.audit.prune(before=first.at, actor="ann")

    assert (service.audit.verify().verdict, service.audit.verify().records) == (AuditVerdict.INTACT, 2)


def test_records_are_paged_over_http(service: Service) -> None:
    """A console reads on from where it was."""

    def get(path: str, **query: str) -> tuple[int, dict[str, object]]:
        request = ApiRequest(
            method="GET", path=f"{PREFIX}/{path}", query=query, headers={"authorization": f"Bearer {TOKEN}"}
        )
        answer = MaintenanceStatusAPI(service).handle(request)
        return answer.status, json.loads(answer.body)

    def numbers(**query: str) -> list[int]:
        records: Any = get("audit", **query)[1]["records"]
        return [each["number"] for each in records]

    assert (numbers(limit="2"), numbers(after="0", limit="2"), numbers(after="2")) == ([2, 3], [1, 2], [3])
    assert (get("audit", after="-1")[0], get("audit", limit="0")[0]) == (400, 400)
    assert get("audit/verify", head="sha256:00")[1]["verdict"] == "broken"


def test_the_leader_drops_what_is_too_old(make_service: MakeService, clock: FakeClock) -> None:
    """Retention that somebody must remember is none."""
    service = make_service(audit_retention=30)
    upkeep = AuditUpkeep(service._runtime)
    service.enable(reason="old", actor="ann")
    clock.advance(40 * 86400)
    service.enable(reason="new", actor="ann", overlap=True)

    upkeep.step(actor="worker:1")

    eventually(lambda: service.store.load().audit.dropped_number > 0)
    eventually(lambda: all(record.at > clock.now() - timedelta(days=1) for record in service.audit.records()))
    assert service.audit.verify().verdict is AuditVerdict.INTACT
    assert service.audit.tail()[-1].actor == "worker:1"


def test_whom_a_window_let_through_is_summed() -> None:
    """Bypasses are recorded once a window: a record for each request would drown the trail."""
    counts = {
        CountKey("w", "uploads", Outcome.BYPASSED): 2,
        CountKey("w", "payments", Outcome.BYPASSED): 1,
        CountKey("w", "payments", Outcome.BYPASSED, caller=CallerKind.PASS): 4,
        CountKey("w", "payments", Outcome.REFUSED): 5,
        CountKey("other", "payments", Outcome.BYPASSED): 9,
    }

    text = describe_counts(counts, window_id="w")

    assert text == "3 let through as administrators, 4 let through with a pass, 5 refused"
    assert describe_counts(counts, window_id="quiet") == ""


def test_no_trail_but_a_state_is_no_proof(make_service: MakeService) -> None:
    """Who takes the head away with the records must not be rewarded."""
    service = make_service()
    service.store.commit(replace(MaintenanceState(), revision=5), expected_revision=0, audit=[])

    assert service.audit.verify().verdict is AuditVerdict.BROKEN
