"""Hands a notice to the mail server for everybody it is for, and says what became of it."""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic

from quiesce import DeliveryError, Notice, Settings

from .addressing import Envelope, envelopes
from .connecting import TOO_LATE, Client, connection, described, reply
from .ledger import Fate, ledger
from .sender import Sender
from .server import MailServer

MOST_IN_ONE_GO = 50
"""Recipients of one transaction; RFC 5321 has every server take 100."""
MOST_TRIES_FOR_SOME = 3
"""After so many tries, who is still put off does not hold up later notices for those who take them."""
LONGEST_SECONDS = 600.0
SHARE_OF_TIMEOUT = 0.9
"""Of MAINTENANCE_HOOK_TIMEOUT, so that what was done is known before the caller stops listening."""
_TOO_MANY = 452

_log = logging.getLogger("quiesce")


@dataclass(slots=True)
class _Tally:
    deferred: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def deliver(notice: Notice, *, settings: Settings) -> None:
    """Send the notice to everybody it is for who does not have it yet; ends before the hook's timeout.

    Raises:
        DeliveryError: not everybody has it, or nobody will ever take it.
    """
    deadline = monotonic() + min(LONGEST_SECONDS, settings.hook_timeout.total_seconds() * SHARE_OF_TIMEOUT)
    if settings.smtp_url is None or settings.email_from is None:
        raise DeliveryError("MAINTENANCE_EMAIL_FROM is not set")
    if not settings.email_operators and not settings.email_users:
        raise DeliveryError("neither MAINTENANCE_EMAIL_OPERATORS nor MAINTENANCE_EMAIL_USERS is set")
    posts = envelopes(notice, settings=settings, now=datetime.now(UTC))
    if not posts:
        return
    book = ledger()
    if not book.sending.acquire(timeout=max(0.0, deadline - monotonic())):
        raise DeliveryError("an earlier call still sends")
    try:
        server, sender = MailServer.from_url(settings.smtp_url), Sender.of(settings.email_from).address
        _send(notice, posts, server=server, sender=sender, fates=book.of(notice), deadline=deadline)
    finally:
        book.sending.release()


def _send(
    notice: Notice,
    posts: tuple[Envelope, ...],
    *,
    server: MailServer,
    sender: str,
    fates: dict[str, Fate],
    deadline: float,
) -> None:
    everybody = [address for post in posts for address in post.recipients]
    tally = _Tally()
    if not all(address in fates for address in everybody):
        with connection(server, deadline=deadline) as client:
            try:
                for post in posts:
                    _post(client, post, sender=sender, fates=fates, tally=tally, server=server)
            except (OSError, ValueError) as exc:
                done = sum(fates.get(address) is Fate.ACCEPTED for address in everybody)
                said = TOO_LATE if client.is_cut else described(exc, server=server)
                problem = f"mail server {server.place}: {said}; {done} of {len(everybody)} recipients have it"
                raise DeliveryError(problem) from None  # its text is the server's
            finally:
                _tell(notice, tally.refused, "refused for good")
    _judge(notice, fates=[fates.get(address) for address in everybody], tally=tally)


def _post(
    client: Client, post: Envelope, *, sender: str, fates: dict[str, Fate], tally: _Tally, server: MailServer
) -> None:
    waiting = [address for address in post.recipients if address not in fates]
    while waiting:
        batch, waiting = waiting[:MOST_IN_ONE_GO], waiting[MOST_IN_ONE_GO:]
        answers = _transact(client, batch, sender=sender, message=post.message)
        accepted = [address for address in batch if address not in answers]
        fates.update(dict.fromkeys(accepted, Fate.ACCEPTED))
        for address, (code, text) in answers.items():
            if 500 <= code < 600:
                fates[address] = Fate.REFUSED
                tally.refused[address] = reply(code, text, server=server)
            elif code == _TOO_MANY and accepted:
                waiting.append(address)  # the server takes fewer in one go
            else:
                tally.deferred[address] = reply(code, text, server=server)


def _transact(
    client: Client, batch: list[str], *, sender: str, message: bytes
) -> Mapping[str, tuple[int, bytes | str]]:
    """Send to one batch; return the answers to those who do not get it, everybody else in it does."""
    try:
        return client.sendmail(sender, batch, message)
    except smtplib.SMTPRecipientsRefused as exc:
        asked = dict(exc.recipients)
        if client.sock is None:  # 421: it hung up before it had heard of the rest
            code, text = next(reversed(asked.values()))
            raise smtplib.SMTPResponseException(code, text) from exc
        return asked
    except smtplib.SMTPDataError as exc:
        if client.sock is None:
            raise
        return dict.fromkeys(batch, (exc.smtp_code, exc.smtp_error))


def _judge(notice: Notice, *, fates: list[Fate | None], tally: _Tally) -> None:
    accepted = fates.count(Fate.ACCEPTED)
    if tally.deferred:
        example = next(iter(tally.deferred.values()))
        problem = f"{len(tally.deferred)} of {len(fates)} recipients are put off: {example}"
        if not accepted or notice.attempt < MOST_TRIES_FOR_SOME:
            raise DeliveryError(problem)
        _tell(notice, tally.deferred, f"put off {notice.attempt} times and given up")
    elif not accepted:
        raise DeliveryError(f"all {len(fates)} recipients are refused for good", is_permanent=True)


def _tell(notice: Notice, answers: Mapping[str, str], what: str) -> None:
    for line in _lines(answers):
        _log.warning("[MAINTENANCE] E-mail %s: notice=%r recipient=%s", what, notice.id, line)


def _lines(answers: Mapping[str, str]) -> Iterator[str]:
    most = 20
    for number, (address, answer) in enumerate(answers.items()):
        if number == most:
            yield f"and {len(answers) - most} more"
            return
        yield f"{address!r} answer={answer!r}"
