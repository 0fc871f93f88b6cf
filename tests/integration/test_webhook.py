"""Webhooks against a real receiver: it verifies with the library of the standard, and fails in every way it can."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpcore
import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

import quiesce_webhook
from quiesce import (
    Audience,
    DeliveryError,
    EventKind,
    InvalidValueError,
    MaintenanceEvent,
    Notice,
    Settings,
    SettingsError,
)
from quiesce.plugins import PluginManager
from quiesce.testing import eventually
from quiesce_webhook import Webhook, connecting, sending

CERTIFICATE = Path(__file__).with_name("redis_tls.pem")
OLD, NEW = ("whsec_" + base64.b64encode(letter * 32).decode() for letter in (b"o", b"n"))
PATIENCE_SECONDS = 20.0
"""How long a receiver is mean; after that it hangs up, so that a client without a deadline fails and does not hang."""


@dataclass
class Received:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A server on 127.0.0.1 whose answer depends on the path.

    Attributes:
        port: where it listens.
        requests: what came in whole.
        answer: the bytes that ``/answer`` is answered with.
        over: set when nobody has to be mean any more.
    """

    port: int = 0
    requests: list[Received] = field(default_factory=list)
    answer: bytes = b"HTTP/1.1 204 No Content\r\n\r\n"
    over: threading.Event = field(default_factory=threading.Event)
    tls: ssl.SSLContext | None = None

    def url(self, path: str, *, scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def serve(self, connection: socket.socket) -> None:
        if self.tls is not None:
            connection = self.tls.wrap_socket(connection, server_side=True)
        with connection, connection.makefile("rb") as stream:
            words = stream.readline().split()
            if len(words) != 3:
                return
            path = words[1].decode()
            if path.startswith("/deaf"):
                self.over.wait(PATIENCE_SECONDS)
                return
            headers: dict[str, str] = {}
            while line := stream.readline().strip():
                name, _, value = line.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            body = stream.read(int(headers["content-length"]))
            self.requests.append(Received(path, headers, body))
            self.misbehave(path, connection)

    def misbehave(self, path: str, connection: socket.socket) -> None:
        match path.strip("/").partition("?")[0]:
            case "hang":
                self.over.wait(PATIENCE_SECONDS)
            case "drip-head":
                self.drip(connection, b"HTTP/1.1 200 OK\r\nx: ")
            case "drip-body":
                self.drip(connection, b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
            case "interim":
                self.drip(connection, b"", drop=b"HTTP/1.1 100 Continue\r\n\r\n")
            case "flood-head":
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while not self.over.is_set():
                    connection.sendall(b"x: " + b"y" * 60_000 + b"\r\n")
            case "flood-body":
                connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                while not self.over.is_set():
                    connection.sendall(b"10000\r\n" + b"y" * 65_536 + b"\r\n")
            case "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            case "close":
                pass
            case _:
                connection.sendall(self.answer)

    def drip(self, connection: socket.socket, head: bytes, drop: bytes = b"z") -> None:
        connection.sendall(head)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and not self.over.wait(0.02):
            connection.sendall(drop)


@contextlib.contextmanager
def receiving(*, tls: bool = False) -> Iterator[Receiver]:
    receiver = Receiver()
    if tls:
        receiver.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        receiver.tls.load_cert_chain(CERTIFICATE)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):  # whom it is mean to hangs up
                receiver.serve(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.over.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver over plain HTTP."""
    with receiving() as found:
        yield found


@pytest.fixture
def tls_receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver over TLS whose certificate, for localhost and 127.0.0.1, the system trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    sending._tls.cache_clear()  # a process asks the system once
    with receiving(tls=True) as found:
        yield found
    sending._tls.cache_clear()


def notice(kind: EventKind = EventKind.STARTED, **fields: Any) -> Notice:
    at = datetime(2026, 11, 26, 22, 0, tzinfo=UTC)
    event = MaintenanceEvent(kind=kind, at=at, revision=7, number=0, mode="normal", reason="Database upgrade, ½ € 🚧")
    return Notice(event=event, service_name="shop", window=None, **{"audience": Audience.EVERYONE, **fields})


def failure(url: str, *, total_seconds: float = 0.5, body: bytes = b"{}") -> DeliveryError:
    """How a post fails that may take so long."""
    with pytest.raises(DeliveryError) as caught:
        sending.post(
            url,
            body=body,
            headers={"webhook-id": "1"},
            resolver=lambda host, port: ["127.0.0.1"],
            allow_private=True,
            total_seconds=total_seconds,
        )
    return caught.value


def test_receiver_verifies_with_the_library_of_the_standard(receiver: Receiver) -> None:
    """Whoever follows the standard needs to write nothing for us."""
    Webhook(receiver.url("/hook?a=b"), secrets=[NEW], allow_private=True).notify(notice=notice())

    (request,) = receiver.requests
    document = Verifier(NEW).verify(request.body, request.headers)
    assert request.path == "/hook?a=b"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "shop-7-0"
    assert document["type"] == "maintenance.started"
    assert document["timestamp"] == "2026-11-26T22:00:00Z"
    assert document["data"]["event"]["reason"] == "Database upgrade, ½ € 🚧"
    assert document["data"]["is_test"] is False


def test_old_and_new_secret_both_verify_while_they_rotate(receiver: Receiver) -> None:
    """Receivers change over one by one; none must refuse meanwhile."""
    Webhook(receiver.url("/"), secrets=[NEW, OLD], allow_private=True).notify(notice=notice())

    (request,) = receiver.requests
    for secret in (NEW, OLD):
        Verifier(secret).verify(request.body, request.headers)
    with pytest.raises(WebhookVerificationError):
        Verifier("whsec_" + base64.b64encode(b"x" * 32).decode()).verify(request.body, request.headers)


def test_repeat_has_the_same_id_and_body(receiver: Receiver) -> None:
    """A receiver can drop what it has already."""
    webhook = Webhook(receiver.url("/"), secrets=[NEW], allow_private=True)

    for attempt in (1, 2):
        webhook.notify(notice=notice(attempt=attempt))

    first, second = receiver.requests
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)


def test_only_chosen_events_are_posted(receiver: Receiver) -> None:
    """A channel for users is not told of every lease."""
    webhook = Webhook(receiver.url("/"), events=["ended"], allow_private=True)

    for kind in (EventKind.STARTED, EventKind.ENDED, EventKind.OVERRUN):
        webhook.notify(notice=notice(kind))

    assert [json.loads(request.body)["type"] for request in receiver.requests] == ["maintenance.ended"]


def test_settings_alone_make_a_webhook(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator needs no line of code."""
    monkeypatch.setenv("MAINTENANCE_WEBHOOK_URL", receiver.url("/from-settings"))
    monkeypatch.setenv("MAINTENANCE_WEBHOOK_SECRETS", f"{NEW},{OLD}")
    monkeypatch.setenv("MAINTENANCE_WEBHOOK_EVENTS", "started, ended")
    monkeypatch.setenv("MAINTENANCE_WEBHOOK_SHAPE", "slack")
    monkeypatch.setenv("MAINTENANCE_WEBHOOK_ALLOW_PRIVATE", "true")

    quiesce_webhook.notify(notice=notice(), settings=Settings.load())
    quiesce_webhook.notify(notice=notice(EventKind.OVERRUN), settings=Settings.load())

    (request,) = receiver.requests
    assert Verifier(OLD).verify(request.body, request.headers)["text"].startswith("shop: normal maintenance has")


def test_process_that_has_no_address_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command on a machine without the settings must not have a notice count as told that a worker would send."""
    monkeypatch.delenv("MAINTENANCE_WEBHOOK_URL", raising=False)

    with pytest.raises(DeliveryError, match="MAINTENANCE_WEBHOOK_URL is not set") as caught:
        quiesce_webhook.notify(notice=notice(), settings=Settings.load())

    assert caught.value.is_unconfigured


def test_each_webhook_is_a_plugin_that_fails_for_itself(receiver: Receiver) -> None:
    """A dead endpoint must neither hold up the others nor make them hear everything twice."""
    receiver.answer = b"HTTP/1.1 500 Oops\r\n\r\n"
    plugins = PluginManager()
    with receiving() as alive:
        plugins.register(Webhook(receiver.url("/"), allow_private=True), "webhook:dead")
        plugins.register(Webhook(alive.url("/"), allow_private=True), "webhook:alive")

        results = [
            plugins.notify(notice(), settings=Settings(), timeout_seconds=15, only=f"webhook:{name}")
            for name in ("dead", "alive")
        ]

        assert [result.ok for result in results] == [False, True]
        assert len(alive.requests) == 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\n\r\n", (120.0, False, False)),
        (b"HTTP/1.1 429 Busy\r\n\r\n", (None, False, False)),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nhey", (None, False, False)),
        (b"HTTP/1.1 400 Bad\r\n\r\n", (None, True, False)),
        (b"HTTP/1.1 410 Gone\r\n\r\n", (None, False, True)),
    ],
)
def test_refusal_says_whether_and_when_to_try_again(
    receiver: Receiver, answer: bytes, expected: tuple[float | None, bool, bool]
) -> None:
    """The outbox goes by it."""
    receiver.answer = answer

    error = failure(receiver.url("/answer"), total_seconds=10)

    assert (error.retry_after_seconds, error.is_permanent, error.disables) == expected
    assert answer.split()[1].decode() in str(error)


def test_redirect_is_not_followed(receiver: Receiver) -> None:
    """Who can redirect could have us post to the cloud's metadata service."""
    with receiving() as elsewhere:
        receiver.answer = f"HTTP/1.1 307 Moved\r\nLocation: {elsewhere.url('/')}\r\n\r\n".encode()

        error = failure(receiver.url("/answer"), total_seconds=10)

        assert "redirects are not followed" in str(error)
        assert elsewhere.requests == []


@pytest.mark.parametrize("path", ["/hang", "/drip-head", "/interim"])
def test_receiver_cannot_hold_us_beyond_the_deadline(receiver: Receiver, path: str) -> None:
    """One that drips a byte now and then would have a notifier's thread for ever."""
    assert "did not answer within 0.5 s" in str(failure(receiver.url(path)))
    assert [request.path for request in receiver.requests] == [path]


def test_receiver_that_does_not_read_cannot_hold_us(receiver: Receiver) -> None:
    """What does not fit into the buffers waits on its mercy."""
    began = time.monotonic()

    error = failure(receiver.url("/deaf"), body=b"x" * 30_000_000)

    assert "did not answer within 0.5 s" in str(error)
    assert time.monotonic() - began < PATIENCE_SECONDS / 2  # it did not take the receiver's hanging up


def test_deadline_is_below_the_timeout_of_hooks(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt that the core gave up would still be on its way when the next one begins."""
    monkeypatch.setenv("MAINTENANCE_WEBHOOK_URL", receiver.url("/hang"))
    monkeypatch.setenv("MAINTENANCE_WEBHOOK_ALLOW_PRIVATE", "true")
    monkeypatch.setenv("MAINTENANCE_HOOK_TIMEOUT", "0.5")

    with pytest.raises(DeliveryError, match=r"within 0\.45 s"):
        quiesce_webhook.notify(notice=notice(), settings=Settings.load())

    assert timedelta(seconds=sending.TOTAL_SECONDS) < Settings().hook_timeout
    assert connecting.CONNECT_SECONDS < sending.TOTAL_SECONDS


@pytest.mark.parametrize("seconds", [0, -1, 61, float("nan")])
def test_deadline_is_sensible(seconds: float) -> None:
    """Without one, a receiver has the notifier's thread for ever."""
    with pytest.raises(InvalidValueError, match="total_seconds"):
        Webhook("https://hooks.example/", total_seconds=seconds)


@pytest.mark.parametrize("path", ["/flood-body", "/drip-body"])
def test_endless_body_after_a_yes_is_delivered_and_not_read(receiver: Receiver, path: str) -> None:
    """The head says that it was taken; a repeat would tell people twice."""
    Webhook(receiver.url(path), allow_private=True).notify(notice=notice())

    assert [request.path for request in receiver.requests] == [path]


@pytest.mark.parametrize(
    ("path", "words"),
    [("/reset", "cut the connection"), ("/close", "not HTTP, or nothing"), ("/flood-head", "not HTTP, or nothing")],
)
def test_broken_connection_is_a_failure(receiver: Receiver, path: str, words: str) -> None:
    """Nobody knows whether it was taken, so it is sent again, under the same id."""
    error = failure(receiver.url(path), total_seconds=10)

    assert words in str(error)
    assert (error.is_permanent, error.disables) == (False, False)


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH_9.9\r\n", b"\0\xff" * 5000, b"HTTP/1.1 999999999999 OK\r\n\r\n"],
)
def test_lie_is_a_failure(receiver: Receiver, answer: bytes) -> None:
    """What is no HTTP is no yes."""
    receiver.answer = answer

    assert "not HTTP, or nothing" in str(failure(receiver.url("/answer"), total_seconds=10))


def test_nobody_there_is_a_failure() -> None:
    """The usual one."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))

        assert "cannot be reached" in str(failure(f"http://127.0.0.1:{bound.getsockname()[1]}/"))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "2130706433", "127.1"])
def test_private_address_is_refused_unless_allowed(receiver: Receiver, host: str) -> None:
    """However it is written: the machine's own ports and the cloud's metadata are no receivers."""
    url = receiver.url("/", host=host)

    with pytest.raises(DeliveryError, match="no public address"):
        Webhook(url).notify(notice=notice())

    assert receiver.requests == []
    Webhook(url, allow_private=True).notify(notice=notice())
    assert len(receiver.requests) == 1


def test_one_private_address_among_public_ones_is_enough(receiver: Receiver) -> None:
    """A name that offers both leaves the choice to whoever owns it."""
    webhook = Webhook(receiver.url("/", host="both.example"), resolver=lambda host, port: ["1.1.1.1", "127.0.0.1"])

    with pytest.raises(DeliveryError, match="no public address"):
        webhook.notify(notice=notice())

    assert receiver.requests == []


def test_rebound_name_does_not_change_where_we_connect(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is public when it is checked, and private a moment later, must be looked up once only."""
    answers = iter((["93.184.215.14"], ["127.0.0.1"], ["127.0.0.1"]))
    connected: list[str] = []

    class Noting(httpcore.SyncBackend):
        def connect_tcp(self, host: str, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
            connected.append(host)
            raise httpcore.ConnectError

    monkeypatch.setattr(httpcore, "SyncBackend", Noting)

    with pytest.raises(DeliveryError, match="cannot be reached"):
        Webhook(receiver.url("/", host="rebound.example"), resolver=lambda host, port: next(answers)).notify(
            notice=notice()
        )

    assert connected == ["93.184.215.14"]
    assert receiver.requests == []


def test_host_and_address_part_ways(receiver: Receiver) -> None:
    """The connection goes to what was checked; the receiver still sees its own name."""
    webhook = Webhook(
        receiver.url("/", host="bücher.example"), allow_private=True, resolver=lambda host, port: ["127.0.0.1"]
    )

    webhook.notify(notice=notice())

    assert receiver.requests[0].headers["host"] == f"xn--bcher-kva.example:{receiver.port}"


def test_next_address_is_tried(receiver: Receiver) -> None:
    """A host with a dead address beside a living one is reachable."""
    webhook = Webhook(
        receiver.url("/", host="two.example"),
        allow_private=True,
        resolver=lambda host, port: ["127.9.9.9", "127.0.0.1"],
    )

    webhook.notify(notice=notice())

    assert len(receiver.requests) == 1


def test_resolver_that_hangs_cannot_hold_us(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's may take half a minute; so many threads as wait for it are bounded too."""
    monkeypatch.setattr(connecting, "CONNECT_SECONDS", 0.05)
    release = threading.Event()

    def hang(host: str, port: int) -> list[str]:
        release.wait(PATIENCE_SECONDS)
        return ["127.0.0.1"]

    webhook = Webhook(receiver.url("/"), allow_private=True, resolver=hang)
    said = []
    try:
        for _ in range(connecting.MOST_LOOKUPS + 1):
            with pytest.raises(DeliveryError) as caught:
                webhook.notify(notice=notice())
            said.append(str(caught.value))
    finally:
        release.set()

    assert "was not found in" in said[0]
    assert "hang already" in said[-1]
    eventually(lambda: "quiesce-webhook-lookup" not in {thread.name for thread in threading.enumerate()})
    Webhook(receiver.url("/"), allow_private=True).notify(notice=notice())


def test_trusted_certificate_is_taken(tls_receiver: Receiver) -> None:
    """The name is checked although the connection goes to an address."""
    for host in ("localhost", "127.0.0.1"):
        Webhook(tls_receiver.url("/", scheme="https", host=host), allow_private=True).notify(notice=notice())

    assert len(tls_receiver.requests) == 2


def test_certificate_of_another_name_is_refused(tls_receiver: Receiver) -> None:
    """Whoever answers at the address need not be the one who is meant."""
    error = failure(tls_receiver.url("/", scheme="https", host="other.example"), total_seconds=10)

    assert str(error) == "the certificate of the webhook's receiver is not to be trusted"
    assert tls_receiver.requests == []


def test_unknown_authority_is_refused() -> None:
    """A signature keeps nobody from reading along."""
    with receiving(tls=True) as stranger:
        error = failure(stranger.url("/", scheme="https"), total_seconds=10)

        assert "not to be trusted" in str(error)
        assert stranger.requests == []


def test_plain_http_behind_https_is_a_failure(receiver: Receiver) -> None:
    """A proxy that was set up wrongly."""
    assert "the webhook's receiver" in str(failure(receiver.url("/", scheme="https")))


def test_proxy_of_the_environment_is_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a proxy nobody could say which address is connected to."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    Webhook(receiver.url("/"), allow_private=True).notify(notice=notice())

    assert len(receiver.requests) == 1


def test_secrets_are_in_no_error_and_no_repr(receiver: Receiver) -> None:
    """Both end in logs that many people read; an address of Slack is a secret as a whole."""
    receiver.answer = b"HTTP/1.1 500 hush\r\n\r\nhush"
    url = receiver.url("/hush").replace("//", "//hush:hush@")
    webhook = Webhook(url, secrets=[NEW], allow_private=True)

    with pytest.raises(DeliveryError) as caught:
        webhook.notify(notice=notice())
    with pytest.raises(SettingsError) as wrong:
        Webhook("hush", secrets=["whsec_hush"], shape="fax", events=["lunch"])

    for text in (repr(webhook), str(caught.value), str(wrong.value), f"{webhook}"):
        assert "hush" not in text
        assert NEW not in text
    assert len(wrong.value.faults) == 4


def test_password_in_the_address_goes_as_basic_authentication(receiver: Receiver) -> None:
    """Operators write it so; a receiver that asks for it would answer 401 for ever."""
    Webhook(receiver.url("/").replace("//", "//ann:p%40ss@"), allow_private=True).notify(notice=notice())

    assert receiver.requests[0].headers["authorization"] == f"Basic {base64.b64encode(b'ann:p@ss').decode()}"
    assert receiver.requests[0].headers["host"] == f"127.0.0.1:{receiver.port}"
