"""A Flask application under gunicorn's workers: what only real processes, sockets and signals show."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from quiesce.testing import eventually

if TYPE_CHECKING:
    from .conftest import Server, Site


def in_background(ask: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(ask()), daemon=True)
    thread.start()
    return thread, answers


@pytest.mark.parametrize("options", [("sync",), ("gthread", "--threads", "4", "--preload")], ids=str)
def test_every_worker_registers_obeys_at_once_and_says_goodbye(site: Site, options: tuple[str, ...]) -> None:
    """The whole promise on one machine: none stale, all confirmed, nobody left on the list; preloaded or not."""
    operator = site.operator
    server = site.serve("shop:app", "--workers", "2", "--worker-class", *options)

    for _ in range(10):
        operator.enable(reason="upgrade", actor="ops")
        assert {server.request("POST", "/pid").status for _ in range(8)} == {503}
        operator.disable(actor="ops")
        assert {server.request("POST", "/pid").status for _ in range(8)} == {200}
    operator.enable(reason="upgrade", actor="ops")
    site.wait_quiet()

    workers = {report.worker.pid: report.worker.framework for report in operator.store.workers()}
    assert len(workers) == 2
    assert server.process.pid not in workers
    assert set(workers.values()) == {"flask"}
    assert server.request("GET", "/pid").status == 200
    assert server.request("POST", "/pid", headers={"Cookie": "user=ann"}).status == 200
    assert server.request("POST", "/pid", headers={"Cookie": "user=bob"}).status == 503
    server.stop()
    assert operator.store.workers() == ()


@pytest.mark.parametrize("path", ["/slow", "/stream"])
def test_a_slow_write_is_waited_for_to_its_last_byte(shop: Server, shop_site: Site, path: str) -> None:
    """A request that began before the window finishes, and until then nobody is told that all is quiet."""
    operator = shop_site.operator
    name = f"waited{path[1:]}"
    thread, answers = in_background(lambda: shop.request("POST", f"{path}?name={name}"))
    eventually((shop_site.folder / f"{name}.begun").exists)

    operator.enable(reason="upgrade", actor="ops")
    eventually(lambda: operator.quiescence().in_flight == {"user_data_modification": 1})
    assert not operator.quiescence().quiesced
    (shop_site.folder / f"{name}.go").touch()
    shop_site.wait_quiet()

    thread.join(20)
    assert answers[0].status == 200


def test_a_client_that_goes_away_is_not_waited_for(shop: Server, shop_site: Site) -> None:
    """A dropped connection in the middle of a stream must end its entry."""
    with contextlib.closing(shop.connect()) as connection:
        connection.request("POST", "/stream?name=dropped&pieces=2000")
        assert connection.getresponse().read(6) == b"first\n"
    (shop_site.folder / "dropped.go").touch()

    shop_site.operator.enable(reason="upgrade", actor="ops")

    shop_site.wait_quiet()


def test_a_file_goes_out_whole_and_ends_its_entry(shop: Server, shop_site: Site) -> None:
    """A server sends files by ``sendfile``, past the iteration of the body."""
    content = bytes(range(256)) * 4096
    (shop_site.folder / "file.bin").write_bytes(content)

    answers = [shop.request("POST", "/file") for _ in range(4)]
    shop_site.operator.enable(reason="upgrade", actor="ops")
    answers += [shop.request("GET", "/file") for _ in range(4)]
    shop_site.wait_quiet()

    assert all(answer.body == content for answer in answers)
    assert {answer.headers["content-length"] for answer in answers} == {str(len(content))}
    head = shop.request("HEAD", "/file")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(content)))


def test_a_connection_that_is_kept_goes_on_after_a_refusal(shop: Server, shop_site: Site) -> None:
    """A refusal without its exact length, or a HEAD with a body, would be taken for the start of the next response."""
    shop_site.operator.enable(reason="upgrade", mode="emergency", actor="ops")

    with contextlib.closing(shop.connect()) as connection:
        statuses = []
        for method, body in [("POST", b"x" * 1000), ("HEAD", None), ("GET", None), ("POST", b""), ("GET", None)]:
            connection.request(method, "/pid", body=body)
            response = connection.getresponse()
            statuses.append((response.status, bool(response.read())))

    assert statuses == [(503, True), (503, False), (503, True), (503, True), (503, True)]


def test_hostile_bytes_do_not_stop_a_server(shop: Server, shop_site: Site) -> None:
    """What a parser lets through reaches the adapter; the next client must be served all the same."""
    shop_site.operator.enable(reason="upgrade", actor="ops")

    for path in ("/%ff%fe/..%2f", "//api//jobs", "/" + "%2e%2e/" * 300, "/caf%C3%A9", "/pid%00", "/%F0%9F%92%A9?%ff"):
        assert shop.request("POST", path, headers={"Cookie": "a" * 4000, "Host": "evil"}).status == 503
    with contextlib.closing(shop.connect()) as connection:
        connection.putrequest("POST", "/pid", skip_host=True)
        connection.putheader("Host", "x")
        connection.putheader("Cookie", b"\xff\xfe=\x80; user")
        connection.putheader("Accept", b"text/html;\xff")
        connection.endheaders()
        assert connection.getresponse().status == 503
    assert shop.request("GET", "/pid").status == 200
    shop_site.wait_quiet()


def test_an_upload_is_refused_with_an_answer(shop: Server, shop_site: Site) -> None:
    """The body is left unread; the client must still get to see the 503."""
    shop_site.operator.enable(reason="upgrade", actor="ops")

    assert [shop.request("POST", "/upload", body=b"x" * 100_000).status for _ in range(5)] == [503] * 5


def test_a_pass_opens_every_worker_until_it_is_revoked(shop: Server, shop_site: Site) -> None:
    """A tester's requests reach any worker; one that let a revoked pass in would be the one that they reach."""
    operator = shop_site.operator
    issued = operator.passes.issue(name="QA, Ann", actor="ops")
    header = {"X-Maintenance-Pass": issued.text}
    operator.enable(reason="upgrade", actor="ops")

    form = {"Origin": f"http://127.0.0.1:{shop.port}", "Content-Type": "application/x-www-form-urlencoded"}
    taken = shop.request("POST", "/api/maintenance/pass", headers=form, body=f"pass={issued.text}".encode())
    cookie = {"Cookie": taken.headers["set-cookie"].partition(";")[0]}
    answers = [shop.request("POST", "/pid", headers=headers) for _ in range(12) for headers in (header, cookie)]
    assert ({answer.status for answer in answers}, taken.status) == ({200}, 303)
    assert len({answer.body for answer in answers}) == 2
    operator.passes.revoke("QA, Ann", actor="ops")

    assert {
        shop.request("POST", "/pid", headers=headers).status for _ in range(12) for headers in (header, cookie)
    } == {503}
    shop_site.wait_quiet()


def test_a_slow_request_by_a_pass_is_shown_and_not_waited_for(shop: Server, shop_site: Site) -> None:
    """Protocol rule 5: it runs on purpose, so the operator sees it and decides."""
    operator = shop_site.operator
    issued = operator.passes.issue(name="probe", actor="ops")
    operator.enable(reason="upgrade", actor="ops")
    headers = {"X-Maintenance-Pass": issued.text}
    thread, answers = in_background(lambda: shop.request("POST", "/slow?name=bypassing", headers=headers))
    eventually((shop_site.folder / "bypassing.begun").exists)

    shop_site.wait_quiet()
    shown = eventually(lambda: sum(w.acknowledgement.bypassing for w in operator.store.workers() if w.acknowledgement))
    (shop_site.folder / "bypassing.go").touch()
    thread.join(20)

    assert (shown, answers[0].status) == (1, 200)
