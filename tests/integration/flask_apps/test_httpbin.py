"""Maintenance mode on an application that no one here wrote: PyPI's httpbin, bare and guarded, under gunicorn."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Answer, HttpbinSite, Server

READS = (
    *("/", "/html", "/deny", "/headers", "/user-agent", "/get?a=b&a=c", "/anything", "/anything/x/y?z"),
    *("/redirect/2", "/redirect-to?url=/get", "/relative-redirect/2", "/absolute-redirect/2"),
    *(
        "/stream/3",
        "/drip?duration=0&numbytes=5",
        "/stream-bytes/64?seed=1&chunk_size=8",
        "/bytes/16?seed=1",
        "/range/26",
    ),
    *("/range/26", "/status/418", "/status/204", "/status/304", "/status/500", "/response-headers?x=y", "/delay/0"),
    *("/cookies", "/cookies/set?a=b", "/cookies/set/a/b", "/cookies/delete?a=", "/forms/post"),
    *("/basic-auth/u/p", "/hidden-basic-auth/u/p", "/bearer", "/base64/aGVsbG8=", "/etag/x", "/cache/60"),
    *("/encoding/utf8", "/links/3/0", "/links/3", "/image", "/image/png", "/image/svg", "/xml", "/json", "/nowhere"),
)
WRITES = (
    *(("POST", "/post"), ("PUT", "/put"), ("PATCH", "/patch"), ("DELETE", "/delete")),
    *(("POST", "/anything"), ("PUT", "/anything/x"), ("DELETE", "/anything"), ("POST", "/response-headers?x=y")),
    *(("POST", "/delay/0"), ("POST", "/status/200"), ("DELETE", "/status/418"), ("POST", "/redirect-to?url=/get")),
    *(("POST", "/nowhere"), ("POST", "/get")),
)
ADMIN = {"Authorization": "Basic " + base64.b64encode(b"ann:open sesame").decode()}
STRANGER = {"Authorization": "Basic " + base64.b64encode(b"ann:guessed").decode()}


def ask(server: Server, method: str, path: str, headers: dict[str, str] | None = None) -> Answer:
    answer = server.request(method, path, headers={"Host": "bin.example", **(headers or {})})
    return answer._replace(headers={name: value for name, value in answer.headers.items() if name != "date"})


def ask_all(server: Server, headers: dict[str, str] | None = None) -> dict[tuple[str, str], Answer]:
    asked = [*(("GET", path) for path in READS), *(("HEAD", path) for path in READS), *WRITES, ("OPTIONS", "/get")]
    return {request: ask(server, *request, headers) for request in asked}


def test_httpbin_is_as_ever_when_nothing_is_open(httpbin: HttpbinSite) -> None:
    """Installing maintenance mode must change no byte, before a window and after it."""
    expected = ask_all(httpbin.bare)

    assert ask_all(httpbin.guarded) == expected
    httpbin.site.operator.enable(reason="upgrade", mode="emergency", actor="ops")
    httpbin.site.operator.disable(actor="ops")
    assert ask_all(httpbin.guarded) == expected


def test_normal_maintenance_refuses_the_writes_of_httpbin_alone(httpbin: HttpbinSite) -> None:
    """Reads stay byte for byte what they were, and an admin's writes pass."""
    expected = ask_all(httpbin.bare)
    httpbin.site.operator.enable(reason="upgrade", actor="ops")

    answers = ask_all(httpbin.guarded)

    assert {asked for asked, answer in answers.items() if answer.status == 503} == set(WRITES)
    assert {asked: answers[asked] for asked in set(expected) - set(WRITES)} == {
        asked: expected[asked] for asked in set(expected) - set(WRITES)
    }
    assert ask(httpbin.guarded, "POST", "/post", ADMIN).status == 200
    assert ask(httpbin.guarded, "POST", "/post", STRANGER).status == 503
    httpbin.site.wait_quiet()


def test_an_emergency_closes_all_of_httpbin_to_all_but_admins(httpbin: HttpbinSite) -> None:
    """Nothing of an application is left open because nobody had thought of its routes."""
    httpbin.site.operator.enable(reason="intrusion", mode="emergency", actor="ops")

    for headers in (None, STRANGER):
        answers = ask_all(httpbin.guarded, headers)
        assert {asked for asked, answer in answers.items() if answer.status != 503} == {("OPTIONS", "/get")}
    assert ask_all(httpbin.guarded, ADMIN) == ask_all(httpbin.bare, ADMIN)
    httpbin.site.wait_quiet()
