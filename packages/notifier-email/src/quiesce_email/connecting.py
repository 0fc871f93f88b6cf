"""Opens a connection to the mail server that ends by its deadline, whatever the server does."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic

from quiesce import DeliveryError

from .server import MailServer

ANSWER_SECONDS = 10.0
"""How long the server may be silent."""
TOO_LATE = "it took longer than MAINTENANCE_HOOK_TIMEOUT allows"


@contextmanager
def connection(server: MailServer, *, deadline: float) -> Iterator[Client]:
    """Give a connection that is encrypted and logged in as the server's address says, and close it afterwards.

    Args:
        server: where to.
        deadline: on the monotonic clock; then the socket is shut, and whoever reads or writes it gets an error.

    Raises:
        DeliveryError: there is none to be had.
    """
    client = Client(server, deadline=deadline)
    watchdog = threading.Timer(max(0.0, deadline - monotonic()), client.cut)
    watchdog.daemon = True
    watchdog.start()
    try:
        try:
            client.open()
        except (OSError, ValueError) as exc:
            problem = TOO_LATE if client.is_cut else described(exc, server=server)
            raise DeliveryError(f"mail server {server.place}: {problem}") from exc
        yield client
        with suppress(OSError):
            client.quit()
    finally:
        watchdog.cancel()
        client.close()


class Client(smtplib.SMTP):
    """An SMTP client whose socket can be shut from outside, and that demands TLS before it says who it is."""

    def __init__(self, server: MailServer, *, deadline: float) -> None:
        self._server = server
        self._deadline = deadline
        self._latest: socket.socket | None = None
        self.is_cut = False
        # smtplib would ask the name service for this machine's full name, with no limit of time.
        super().__init__(local_hostname=_own_name(), timeout=ANSWER_SECONDS)

    def open(self) -> None:
        """Connect, encrypt and log in."""
        server = self._server
        code, text = self.connect(server.host, server.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, text)
        if server.is_starttls:
            self._begin_tls()
        if server.user:
            self._log_in()

    def cut(self) -> None:
        """Shut the socket under whoever reads or writes it."""
        self.is_cut = True
        # The plain socket's method: that of an SSLSocket drops its TLS layer under the thread that reads it.
        if self._latest is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._latest, socket.SHUT_RDWR)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        # The one place where smtplib lets a subclass bring its own socket, as its SMTP_SSL does.
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError("no time left")
        sock = socket.create_connection((host, port), min(timeout, left))
        sock.settimeout(timeout)
        self._latest = sock
        if self.is_cut:
            sock.close()
            raise TimeoutError("no time left")
        return self._encrypted(sock) if self._server.is_tls_at_once else sock

    def _begin_tls(self) -> None:
        # Not smtplib's starttls: the watchdog could not reach the socket while that shakes hands.
        self.ehlo_or_helo_if_needed()
        if not self.has_extn("starttls"):
            raise smtplib.SMTPNotSupportedError("it offers no STARTTLS")
        code, text = self.docmd("STARTTLS")
        if code != 220 or self.sock is None:
            raise smtplib.SMTPResponseException(code, text)
        self.sock = self._encrypted(self.sock)
        # What was said before TLS, or sent along with the answer, may be anybody's word (RFC 3207 §4.2).
        self.file = None
        self.helo_resp = self.ehlo_resp = None
        self.does_esmtp = False

    def _encrypted(self, sock: socket.socket) -> ssl.SSLSocket:
        try:
            wrapped = self._tls().wrap_socket(sock, server_hostname=self._server.host, do_handshake_on_connect=False)
        except BaseException:
            sock.close()
            raise
        self._latest = wrapped
        try:
            wrapped.do_handshake()
        except BaseException:
            wrapped.close()
            raise
        return wrapped

    def _tls(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._server.authorities)
        except OSError as exc:
            problem = exc.strerror or type(exc).__name__
            raise DeliveryError(f"the authorities of the mail server cannot be read: {problem}") from exc

    def _log_in(self) -> None:
        problem = ""
        try:
            self.login(self._server.user, self._server.password)
        except smtplib.SMTPAuthenticationError as exc:
            # Its text is the server's, which knows the password by now: only the code is told.
            problem = f"it does not accept the login ({exc.smtp_code})"
        except smtplib.SMTPServerDisconnected:
            problem = "it hung up during the login"
        except smtplib.SMTPException as exc:
            problem = f"it takes no login ({type(exc).__name__})"
        except ValueError:
            problem = "it answered the login with nonsense"
        if problem:
            raise DeliveryError(f"mail server {self._server.place}: {TOO_LATE if self.is_cut else problem}")


def described(exc: BaseException, *, server: MailServer) -> str:
    """Return what went wrong in one bounded line, from an error whose text a server may have written."""
    if isinstance(exc, smtplib.SMTPResponseException):
        return reply(exc.smtp_code, exc.smtp_error, server=server)
    return _bounded(f"{type(exc).__name__}: {exc}", server=server)


def reply(code: int, text: bytes | str, *, server: MailServer) -> str:
    """Return the server's answer in one bounded line."""
    words = text.decode("ascii", "replace") if isinstance(text, bytes) else text
    return _bounded(f"{code} {words}", server=server)


def _bounded(text: str, *, server: MailServer) -> str:
    # The password goes first: half of it, or with other spaces, would not be found any more.
    return " ".join(re.sub(r"[^ -~]+", " ", server.redacted(text)).split())[:160]


def _own_name() -> str:
    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?", name) else "localhost"
