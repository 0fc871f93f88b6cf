"""A mail server and a receiver of webhooks, as other people run them; both write down what arrives."""

from __future__ import annotations

import base64
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from standardwebhooks import Webhook, WebhookVerificationError

SENDER, OPERATORS, USERS = "Shop <mailer@shop.example>", "ops@shop.example", "everybody@shop.example"
_AUDIENCES = {OPERATORS: "operators", USERS: "users"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One message that arrived, whether it was taken or put off.

    Attributes:
        receiver: ``mail`` or ``webhook``.
        subject: of the mail; of a webhook the type of the event and the mode of its window.
        audience: for whom it is.
        id: the same when it is sent again.
        signature: ``held`` or ``FAILED``; mail has none.
        is_test: it is marked as a test.
        answer: what the receiver said.
    """

    receiver: str
    subject: str
    audience: str
    id: str
    signature: str
    is_test: bool
    answer: int


@dataclass(slots=True)
class Letterbox:
    """What arrived at both receivers, in order, and the settings that make Quiesce send there."""

    settings: dict[str, str]
    arrivals: list[Arrival] = field(default_factory=list)

    def is_first_of(self, receiver: str) -> bool:
        """Tell whether nothing has come to this receiver yet: the first message is put off, to see it come again."""
        return not any(arrival.receiver == receiver for arrival in self.arrivals)


@contextmanager
def receiving(smtp_port: int) -> Iterator[Letterbox]:
    """Run both receivers; the mail server on this port, the other one wherever there is room."""
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    box = Letterbox({})
    web = ThreadingHTTPServer(("127.0.0.1", 0), _web_handler(box, Webhook(secret)))
    box.settings |= {
        "MAINTENANCE_SMTP_URL": f"smtp://127.0.0.1:{smtp_port}?starttls=never",
        "MAINTENANCE_EMAIL_FROM": SENDER,
        "MAINTENANCE_EMAIL_OPERATORS": OPERATORS,
        "MAINTENANCE_EMAIL_USERS": USERS,
        "MAINTENANCE_WEBHOOK_URL": f"http://127.0.0.1:{web.server_port}/maintenance",
        "MAINTENANCE_WEBHOOK_SECRETS": secret,
        "MAINTENANCE_WEBHOOK_ALLOW_PRIVATE": "true",  # the receiver is on this machine
    }
    mail = Controller(_MailHandler(box), hostname="127.0.0.1", port=smtp_port)
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.1})
    mail.start()
    thread.start()
    try:
        yield box
    finally:
        web.shutdown()
        web.server_close()
        thread.join()
        mail.stop()


class _MailHandler:
    def __init__(self, box: Letterbox) -> None:
        self._box = box

    async def handle_DATA(self, *call: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a message, but put off the very first."""
        envelope = call[2]
        message = message_from_bytes(envelope.content, policy=policy.default)
        is_put_off = self._box.is_first_of("mail")
        subject = str(message["Subject"])
        self._box.arrivals.append(
            Arrival(
                receiver="mail",
                subject=subject,
                audience=", ".join(_AUDIENCES.get(address, address) for address in envelope.rcpt_tos),
                id=str(message["Message-ID"]),
                signature="-",
                is_test=subject.startswith("[TEST]"),
                answer=451 if is_put_off else 250,
            )
        )
        return "451 Come again later" if is_put_off else "250 Taken"


def _web_handler(box: Letterbox, verifier: Webhook) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            arrival = _judged(body, {name.lower(): value for name, value in self.headers.items()})
            box.arrivals.append(arrival)
            self.send_response(arrival.answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
            """Say nothing: the demo prints what arrived."""

    def _judged(body: bytes, headers: dict[str, str]) -> Arrival:
        number = headers.get("webhook-id", "")
        try:
            notice: dict[str, Any] = verifier.verify(body, headers)
        except WebhookVerificationError:
            return Arrival(
                receiver="webhook",
                subject="?",
                audience="?",
                id=number,
                signature="FAILED",
                is_test=False,
                answer=401,
            )
        data = notice["data"]
        return Arrival(
            receiver="webhook",
            subject=f"{notice['type']} {data['event']['mode']}",
            audience=data["audience"],
            id=number,
            signature="held",
            is_test=data["is_test"],
            answer=503 if box.is_first_of("webhook") else 204,
        )

    return Handler
