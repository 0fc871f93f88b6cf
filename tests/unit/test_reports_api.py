"""Reports over HTTP and on the command line."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from quiesce.cli.program import program
from quiesce.control import EnhancedMaintenanceModeService
from quiesce.model import Principal
from quiesce.web import PREFIX, ApiRequest, ApiResponse, MaintenanceStatusAPI

Service = EnhancedMaintenanceModeService
MakeService = Callable[..., Service]
TOKEN = "a-token-of-the-tests"


@pytest.fixture
def service(make_service: MakeService, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service whose store the commands find by the environment."""
    monkeypatch.setenv("MAINTENANCE_STORE_URL", sqlite_url)
    return make_service(sqlite_url, admin_token=TOKEN)


def get(service: Service, path: str, *, accept: str = "", token: str | None = TOKEN, **query: str) -> ApiResponse:
    headers = {"accept": accept} | ({} if token is None else {"authorization": f"Bearer {token}"})
    request = ApiRequest(method="GET", path=f"{PREFIX}/{path}", query=query, headers=headers)
    return MaintenanceStatusAPI(service).handle(request)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = program.main([*arguments], "quiesce", standalone_mode=False)
    told = capsys.readouterr()
    return code, told.out, told.err


def test_reports_are_listed_and_read(service: Service) -> None:
    """A console finds the incident without knowing its id."""
    window = service.enable(reason="fire", mode="emergency", actor="ann")

    listed = json.loads(get(service, "reports").body)["reports"]
    answer = get(service, f"reports/{window.id}", accept="application/json")

    assert [each["window_id"] for each in listed] == [window.id]
    document = json.loads(answer.body)
    assert listed[0].items() <= document.items()
    assert document["totals"] == {"refused": 0, "bypassed": 0, "would_block": 0}
    assert document["sessions"] == {"policy": "revoke", "ended": None}
    assert (get(service, "reports/nothing").status, get(service, "reports", limit="0").status) == (404, 400)


@pytest.mark.parametrize(
    ("accept", "is_markdown"),
    [
        ("text/markdown", True),
        ("text/Markdown;q=0.9, application/json", True),
        ("application/json, text/markdown", False),
        ("", False),
        ("*/*", False),
        ("text/html,*/*", False),
        (",;" * 9999, False),
    ],
)
def test_markdown_is_for_who_asks_for_it(service: Service, accept: str, *, is_markdown: bool) -> None:
    """A browser and curl get JSON unless they say otherwise."""
    window = service.enable(reason="fire", actor="ann")

    answer = get(service, f"reports/{window.id}", accept=accept)

    assert answer.body.startswith(b"# Normal window ") is is_markdown
    headers = dict(answer.headers)
    assert headers["content-type"] == ("text/markdown; charset=utf-8" if is_markdown else "application/json")
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")


@pytest.mark.parametrize("path", ["reports", "reports/x"])
def test_reports_are_for_admins(service: Service, path: str) -> None:
    """They name people, jobs and what failed."""
    stranger = ApiRequest(method="GET", path=f"{PREFIX}/{path}", principal=Principal("bob"))

    assert get(service, path, token=None).status == 401
    assert MaintenanceStatusAPI(service).handle(stranger).status == 403


def test_without_an_id_the_command_takes_the_newest_emergency(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the worst hour nobody should look up an id; without an emergency one is shown what there is."""
    assert run(capsys, "report")[:2] == (0, "There is nothing to report on\n")
    normal = service.enable(reason="upgrade", actor="ann")
    code, out, _ = run(capsys, "report")
    assert (code, normal.id in out, "upgrade" in out) == (0, True, True)
    assert run(capsys, "report", "--markdown")[0] == 5
    emergency = service.enable(reason="fire", mode="emergency", actor="ann")

    documents = [json.loads(run(capsys, "report", *named, "--json")[1]) for named in ([], [normal.id])]

    assert [each["report"]["window_id"] for each in documents] == [emergency.id, normal.id]
    code, out, _ = run(capsys, "report")
    assert out.startswith(f"Report on emergency window {emergency.id}\n")
    assert all(fact in out for fact in ("window.enabled by ann", "number ended: not known", "notified  nobody"))
    assert run(capsys, "report", "nothing")[0] == 5
    assert run(capsys, "report", "--json", "--markdown")[0] == 2


def test_a_report_is_written_whole_and_for_its_owner(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names people; and a full disk must not leave half of one where a whole one stood."""
    window = service.enable(reason="fire\N{SNOWMAN}", mode="emergency", actor="ann")
    markdown, document = tmp_path / "incident.md", tmp_path / "incident.json"
    markdown.write_text("the former one")

    assert run(capsys, "report", "--output", str(markdown))[0] == 0
    assert json.loads(run(capsys, "report", "--json", "--output", str(document))[1])["written"] == str(document)

    printed = run(capsys, "report", window.id, "--markdown")[1]
    written = markdown.read_text(encoding="utf-8")
    made = ("| Report made |", "| Duration |")
    lines = [[line for line in text.splitlines() if not line.startswith(made)] for text in (written, printed)]
    assert lines[0] == lines[1]
    assert json.loads(document.read_text())["report"]["reason"] == "fire\N{SNOWMAN}"
    assert stat.S_IMODE(markdown.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.glob("*incident*")) == ["incident.json", "incident.md"]


@pytest.mark.parametrize("place", ["missing/report.md", "folder", "a\x00b"])
def test_a_file_that_cannot_be_written_is_an_error_that_names_it(
    service: Service, tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing is left behind."""
    service.enable(reason="fire", mode="emergency", actor="ann")
    (tmp_path / "folder").mkdir()
    before = {path.name for path in tmp_path.iterdir()}

    code, _, error = run(capsys, "report", "--output", f"{tmp_path}/{place}")

    assert (code, "--output" in error) == (2, True)
    assert {path.name for path in tmp_path.iterdir()} == before
