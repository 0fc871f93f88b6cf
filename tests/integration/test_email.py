"""E-mail handed to a real SMTP server: with TLS and login, with refusals, slow, dying and hostile."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

import quiesce_email
from quiesce import Audience, DeliveryError, EventKind, MaintenanceEvent, Notice, Settings
from quiesce.plugins import PluginManager
from quiesce_email.connecting import ANSWER_SECONDS

CERTIFICATE = Path(__file__).with_name("redis_tls.pem")
USER, PASSWORD = "mailer", "pass word/hush"
LOGIN = "mailer:pass%20word%2Fhush@"
_numbers = itertools.count(1)

# With TLS at once there is no STARTTLS to wait for, which aiosmtpd does not know.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")


class MailServer:
    """An aiosmtpd on a port of its own, and what it was given.

    Attributes:
        answers: to the recipients that it does not take.
        after_data: its answer to messages, instead of taking them.
        most_recipients: so many in one transaction.
        messages: envelopes that it took.
        connections: how many there were.
        logins: users who logged in.
    """

    def __init__(self, *, tls: str = "starttls", login: bool = False) -> None:
        self.answers: dict[str, str] = {}
        self.after_data = ""
        self.most_recipients = 1000
        self.messages: list[Envelope] = []
        self.connections = 0
        self.logins: list[bytes] = []
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CERTIFICATE)
        self._options: dict[str, Any] = {"auth_required": login, "authenticator": self._authenticate}
        self._options |= {"tls_context": context, "require_starttls": True} if tls == "starttls" else {}
        self._options |= {"auth_require_tls": False} if tls == "at once" else {}
        self._context = context if tls == "at once" else None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        scheme = "smtps" if tls == "at once" else "smtp"
        query = "?starttls=never" if tls == "none" else f"?ca={CERTIFICATE}"
        self.url = f"{scheme}://{LOGIN if login else ''}127.0.0.1:{self.port}{query}"

    @property
    def recipients(self) -> list[str]:
        return [address for envelope in self.messages for address in envelope.rcpt_tos]

    async def handle_RCPT(self, *call: Any) -> str:  # noqa: N802 - aiosmtpd's name
        envelope, address = call[2], call[3]
        if address in self.answers:
            return self.answers[address]
        if len(envelope.rcpt_tos) >= self.most_recipients:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, *call: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self.after_data:
            return self.after_data
        self.messages.append(call[2])
        return "250 OK"

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _authenticate(self, *call: Any) -> AuthResult:
        given: LoginPassword = call[4]
        is_right = (given.login, given.password) == (USER.encode(), PASSWORD.encode())
        self.logins += [given.login] if is_right else []
        return AuthResult(success=is_right, handled=False)

    async def _listen(self) -> int:
        self._server = await self._loop.create_server(self._session, "127.0.0.1", 0, ssl=self._context)
        return int(self._server.sockets[0].getsockname()[1])

    def _session(self) -> SMTP:
        self.connections += 1
        return SMTP(self, loop=self._loop, hostname="mail.example", **self._options)

    async def _stop(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def scripted(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Give the address of a server that does with its one connection what the function does."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                serve(connection)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def make_server() -> Iterator[Callable[..., MailServer]]:
    with ExitStack() as stack:

        def make(**options: Any) -> MailServer:
            server = MailServer(**options)
            stack.callback(server.close)
            return server

        yield make


def notice(**changes: Any) -> Notice:
    """One that no other test has, so that none of its recipients counts as served."""
    event = MaintenanceEvent(
        kind=EventKind.STARTED, at=datetime.now(UTC), revision=next(_numbers), number=0, window_id="w", mode="normal"
    )
    return Notice(event=event, service_name="shop", window=None, audience=Audience.EVERYONE, **changes)


def send(url: str, what: Notice, *operators: str, users: tuple[str, ...] = (), seconds: float = 20) -> None:
    settings = Settings(
        smtp_url=url,
        email_from="ops@shop.example",
        email_operators=operators,
        email_users=users,
        hook_timeout=timedelta(seconds=seconds),
    )
    quiesce_email.notify(what, settings)


@pytest.mark.parametrize("tls", ["starttls", "at once"])
def test_mail_goes_over_tls_and_a_login_to_both_kinds_of_readers(make_server: Any, tls: str) -> None:
    """The usual set-up: one connection, two messages, and nobody sees who else got one."""
    server = make_server(tls=tls, login=True)

    send(server.url, notice(), "ann@shop.example", "bob@shop.example", users=("list@shop.example",))

    assert server.logins == [b"mailer"]
    assert server.connections == 1
    assert [envelope.rcpt_tos for envelope in server.messages] == [
        ["ann@shop.example", "bob@shop.example"],
        ["list@shop.example"],
    ]
    parsed = [message_from_bytes(envelope.content, policy=policy.SMTP) for envelope in server.messages]
    assert [message["To"] for message in parsed] == ["undisclosed-recipients:;"] * 2
    assert not any(b"ann@" in envelope.content or b"list@" in envelope.content for envelope in server.messages)


def test_server_without_starttls_is_given_nothing(make_server: Any) -> None:
    """Who strips STARTTLS from the greeting must not get the password, nor the notice."""
    server = make_server(tls="none")

    with pytest.raises(DeliveryError, match="STARTTLS") as caught:
        send(f"smtp://{LOGIN}127.0.0.1:{server.port}", notice(), "ann@shop.example")

    assert (server.messages, server.logins, caught.value.is_permanent) == ([], [], False)


def test_relay_without_tls_is_used_when_the_address_says_so(make_server: Any) -> None:
    """A relay on the same machine often has no certificate."""
    server = make_server(tls="none")

    send(server.url, notice(), "ann@shop.example")

    assert server.recipients == ["ann@shop.example"]


@pytest.mark.parametrize("tls", ["starttls", "at once"])
def test_certificate_of_an_unknown_authority_is_not_trusted(make_server: Any, tls: str) -> None:
    """Encryption to whoever answers protects nothing."""
    server = make_server(tls=tls, login=True)

    with pytest.raises(DeliveryError, match="certificate"):
        send(server.url.partition("?")[0], notice(), "ann@shop.example")

    assert (server.messages, server.logins) == ([], [])


def test_wrong_password_is_told_and_not_shown(make_server: Any) -> None:
    """The error ends in logs; the password can be put right, so later notices are not given up."""
    server = make_server(login=True)

    with pytest.raises(DeliveryError, match=r"does not accept the login \(535\)") as caught:
        send(server.url.replace("hush", "hushhush"), notice(), "ann@shop.example")

    assert "hush" not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert caught.value.is_permanent is False


def test_refused_recipient_keeps_nobody_else_from_it(make_server: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody always has left the company; a repeat asks neither them nor those who have it."""
    server = make_server()
    server.answers["left@shop.example"] = "550 5.1.1 No such\tuser"
    what = notice()

    with caplog.at_level(logging.WARNING, logger="quiesce"):
        send(server.url, what, "left@shop.example", "ann@shop.example")
    send(server.url, what, "left@shop.example", "ann@shop.example")

    assert server.recipients == ["ann@shop.example"]
    assert server.connections == 1
    (record,) = caplog.records
    assert "recipient='left@shop.example' answer='550 5.1.1 No such user'" in record.getMessage()


def test_who_is_put_off_gets_it_later_and_the_others_not_twice(make_server: Any) -> None:
    """Greylisting: the first try is put off, the second is taken."""
    server = make_server()
    server.answers["grey@shop.example"] = "450 4.7.1 Later"
    what = notice()

    with pytest.raises(DeliveryError, match="1 of 2 recipients are put off: 450") as caught:
        send(server.url, what, "grey@shop.example", "ann@shop.example")
    server.answers.clear()
    send(server.url, what, "grey@shop.example", "ann@shop.example")

    assert caught.value.is_permanent is False
    assert server.recipients == ["ann@shop.example", "grey@shop.example"]
    assert len({message_from_bytes(envelope.content)["Message-ID"] for envelope in server.messages}) == 1


def test_full_mailbox_does_not_hold_up_later_notices_for_ever(
    make_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Notices wait for the one before: the start of an emergency must not wait a day for one mailbox."""
    server = make_server()
    server.answers["full@shop.example"] = "452 4.2.2 Mailbox full"

    with caplog.at_level(logging.WARNING, logger="quiesce"):
        send(server.url, notice(attempt=3), "full@shop.example", "ann@shop.example")

    assert server.recipients == ["ann@shop.example"]
    assert "given up" in caplog.text


def test_nobody_is_given_up_while_nobody_takes_it(make_server: Any) -> None:
    """Everybody put off is an outage of the mail, not of one mailbox."""
    server = make_server()
    server.answers["ann@shop.example"] = "450 Later"

    with pytest.raises(DeliveryError) as caught:
        send(server.url, notice(attempt=9), "ann@shop.example")

    assert caught.value.is_permanent is False


@pytest.mark.parametrize("where", ["recipients", "message"])
def test_refusal_of_everybody_is_permanent(make_server: Any, where: str) -> None:
    """Trying for a day what is refused for good would hold up what comes after."""
    server = make_server()
    if where == "recipients":
        server.answers["ann@shop.example"] = "550 No"
    else:
        server.after_data = "554 5.7.1 Spam"
    what = notice()

    for _ in range(2):
        with pytest.raises(DeliveryError) as caught:
            send(server.url, what, "ann@shop.example")
        assert caught.value.is_permanent is True
    assert server.connections == 1


def test_hundreds_of_recipients_take_one_connection(make_server: Any) -> None:
    """In transactions of a size that servers take, also when one takes fewer than that; each gets it once."""
    server = make_server()
    server.most_recipients = 20
    everybody = tuple(f"u{number}@shop.example" for number in range(130))

    send(server.url, notice(), *everybody)

    assert sorted(server.recipients) == sorted(everybody)
    assert server.connections == 1
    assert max(len(envelope.rcpt_tos) for envelope in server.messages) == 20


def test_after_the_server_died_only_the_rest_is_sent(make_server: Any) -> None:
    """What was accepted before is not sent twice."""
    dying, healthy = make_server(), make_server()
    everybody = tuple(f"u{number}@shop.example" for number in range(120))
    dying.answers[everybody[60]] = "421 Shutting down"
    what = notice()

    with pytest.raises(DeliveryError, match="50 of 120 recipients have it"):
        send(dying.url, what, *everybody)
    send(healthy.url, what, *everybody)

    assert sorted(dying.recipients + healthy.recipients) == sorted(everybody)


def test_no_server_is_a_failure_to_be_tried_again() -> None:
    """An outage of the mail server passes."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        with pytest.raises(DeliveryError, match="ConnectionRefusedError") as caught:
            send(f"smtp://127.0.0.1:{taken.getsockname()[1]}", notice(), "ann@shop.example")

    assert caught.value.is_permanent is False


def stay_silent(connection: socket.socket) -> None:
    while connection.recv(1000):
        pass


def drip(connection: socket.socket) -> None:
    pause = threading.Event()
    while not pause.wait(0.05):
        connection.sendall(b"2")


def drip_after_starttls(connection: socket.socket) -> None:
    connection.sendall(b"220 hello\r\n")
    connection.recv(1000)
    connection.sendall(b"250-hello\r\n250 STARTTLS\r\n")
    connection.recv(1000)
    connection.sendall(b"220 go\r\n")
    connection.recv(1000)
    connection.sendall(b"\x16\x03\x03\x3f\xff")  # a handshake record of 16 kB, to be sent byte by byte
    pause = threading.Event()
    while not pause.wait(0.05):
        connection.sendall(b"\x02")


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
@pytest.mark.parametrize("serve", [stay_silent, drip, drip_after_starttls])
def test_slow_server_is_left_before_the_hook_times_out(scheme: str, serve: Callable[[socket.socket], None]) -> None:
    """A call that hangs is left behind for ever; a byte now and then must not keep it alive."""
    with scripted(serve) as place:
        began = monotonic()
        with pytest.raises(DeliveryError, match=r"took longer|: SSLError"):
            send(f"{scheme}://{place}", notice(), "ann@shop.example", seconds=1)

    assert monotonic() - began < ANSWER_SECONDS - 1


def test_words_sent_in_the_clear_before_tls_are_not_believed() -> None:
    """A man in the middle adds answers behind the server's own; they must not count as said under TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    heard: list[bytes] = []

    def add_answers(connection: socket.socket) -> None:
        connection.sendall(b"220 hello\r\n")
        connection.recv(1000)
        connection.sendall(b"250-hello\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n")
        connection.recv(1000)
        connection.sendall(b"220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n")
        with context.wrap_socket(connection, server_side=True) as encrypted:
            heard.append(encrypted.recv(1000))
            encrypted.sendall(b"250 hello\r\n")
            heard.append(encrypted.recv(1000))

    with scripted(add_answers) as place, pytest.raises(DeliveryError, match="takes no login"):
        send(f"smtp://{LOGIN}{place}?ca={CERTIFICATE}", notice(), "ann@shop.example")

    assert heard[0].lower().startswith(b"ehlo ")
    assert heard[1:] in ([b""], [])


def test_server_that_repeats_the_password_does_not_get_it_into_logs(
    make_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """What a server says is quoted; by then it knows the password."""
    server = make_server(login=True)
    server.answers["ann@shop.example"] = f"550 {PASSWORD}"
    server.answers["bob@shop.example"] = f"450 {'x' * 145} {PASSWORD}"  # its end is cut off

    with pytest.raises(DeliveryError) as caught:
        send(server.url, notice(), "ann@shop.example", "bob@shop.example")

    shown = caplog.text + str(caught.value)
    assert "xxx" in shown
    assert [part for part in ("pass word", "hush") if part in shown] == []


def test_two_calls_for_one_notice_send_it_once(make_server: Any) -> None:
    """A call that was left behind may still send while the next attempt begins."""
    server = make_server()
    everybody = tuple(f"u{number}@shop.example" for number in range(60))
    what = notice()
    threads = [threading.Thread(target=send, args=(server.url, what, *everybody)) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert sorted(server.recipients) == sorted(everybody)


def test_core_finds_the_hook_and_hears_of_failure(make_server: Any) -> None:
    """The core calls it by its entry point, and reads from the result what to do."""
    plugins = PluginManager.load(disabled=["celery", "fastapi", "flask", "rq"])
    server = make_server()
    server.answers["ann@shop.example"] = "450 Later"
    settings = Settings(smtp_url=server.url, email_from="ops@shop.example", email_operators=("ann@shop.example",))
    what = notice()

    first = plugins.notify(what, settings=settings, timeout_seconds=20, only="email")
    server.answers.clear()
    second = plugins.notify(what, settings=settings, timeout_seconds=20, only="email")

    assert (first.ok, second.ok) == (False, True)
    assert "put off" in str(first.error)
    assert server.recipients == ["ann@shop.example"]


def test_alerts_that_are_switched_off_reach_nobody(make_server: Any) -> None:
    """The guide's switch, MAINTENANCE_EMAIL_ALERTS."""
    server = make_server()
    settings = {"smtp_url": server.url, "email_from": "ops@shop.example", "email_operators": ("ann@shop.example",)}

    quiesce_email.notify(notice(), Settings(**settings, email_alerts=False))
    assert server.connections == 0

    quiesce_email.notify(notice(), Settings(**settings))
    assert server.connections == 1


def test_process_that_names_no_server_says_so() -> None:
    """A command on a machine without the settings must not have a notice count as told that a worker would send."""
    with pytest.raises(DeliveryError, match="MAINTENANCE_SMTP_URL is not set") as caught:
        quiesce_email.notify(notice(), Settings())

    assert caught.value.is_unconfigured


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"email_operators": ("ann@shop.example",)}, "MAINTENANCE_EMAIL_FROM"),
        ({"email_from": "ops@shop.example"}, "MAINTENANCE_EMAIL_OPERATORS"),
    ],
)
def test_half_a_configuration_is_a_failure(settings: dict[str, Any], named: str) -> None:
    """Silence would look like mail that was sent."""
    with pytest.raises(DeliveryError, match=named):
        quiesce_email.notify(notice(), Settings(smtp_url="smtp://127.0.0.1:1", **settings))
