"""Maintenance mode on an application from PyPI that nobody here wrote: CERN's simple-repository-server."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.slow

NAME = "sample-1.0-py3-none-any.whl"
READS = (
    ("GET", "/simple/"),
    ("GET", "/simple/sample/"),
    ("GET", "/simple/Sample/"),
    ("GET", "/simple/missing/"),
    ("GET", f"/resources/sample/{NAME}"),
    ("GET", f"/resources/sample/{NAME}.metadata"),
    ("GET", "/nowhere"),
)
WRITES = (("POST", "/simple/"), ("DELETE", "/simple/sample/"), ("PUT", "/nowhere"))
CHANGING = {"date", "last-modified"}


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A folder with one wheel, which the server offers."""
    folder = tmp_path / "index"
    (folder / "sample").mkdir(parents=True)
    with zipfile.ZipFile(folder / "sample" / NAME, "w") as wheel:
        wheel.writestr("sample-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n")
    return folder


def test_it_is_covered_and_otherwise_unchanged(
    tmp_path: Path, index: Path, start_process: Any, make_service: Any
) -> None:
    """Off, every response is the same as without; in maintenance, reads go on; in an emergency, nothing does."""
    store = f"sqlite:///{tmp_path}/m.db"
    bare = start_process("foreign:bare", INDEX_FOLDER=str(index))
    covered = start_process("foreign:covered", INDEX_FOLDER=str(index), MAINTENANCE_STORE_URL=store)
    operator = make_service(store_url=store)

    def ask(server: Any) -> dict[tuple[str, str], tuple[int, list[tuple[str, str]], bytes]]:
        answers = {}
        with httpx.Client(base_url=server.url, timeout=20) as client:
            for method, path in (*READS, *WRITES):
                response = client.request(method, path)
                headers = [(name, value) for name, value in response.headers.items() if name not in CHANGING]
                body = response.content.replace(server.url.encode(), b"")
                answers[method, path] = (response.status_code, headers, body)
        return answers

    plain = ask(bare)
    before = ask(covered)
    operator.enable(reason="upgrade", actor="ops")
    in_maintenance = ask(covered)
    operator.enable(reason="attack", mode="emergency", actor="ops")
    in_emergency = ask(covered)
    operator.disable(end_all=True, actor="ops")
    after = ask(covered)

    assert before == plain
    assert after == plain
    assert plain["GET", f"/resources/sample/{NAME}"][0] == 200
    assert {asked: in_maintenance[asked] for asked in READS} == {asked: plain[asked] for asked in READS}
    assert {in_maintenance[asked][0] for asked in WRITES} == {503}
    assert {answer[0] for answer in in_emergency.values()} == {503}
