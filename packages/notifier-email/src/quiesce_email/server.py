"""The mail server, as MAINTENANCE_SMTP_URL names it."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mail is handed in, and how.

    Attributes:
        host: name or address; the certificate must be for it.
        port: as named, else 465 for ``smtps``, 587 with STARTTLS, 25 without.
        is_tls_at_once: TLS begins with the connection (RFC 8314), not with STARTTLS.
        is_starttls: STARTTLS is demanded before anything else is said (RFC 3207).
        user: who logs in; empty: nobody does.
        password: of the user.
        authorities: path of a PEM file with the authorities to trust instead of the machine's; ``None``: the machine's.
    """

    host: str
    port: int
    is_tls_at_once: bool
    is_starttls: bool
    user: str = ""
    password: str = field(default="", repr=False)
    authorities: str | None = None

    @classmethod
    def from_url(cls, url: str) -> MailServer:
        """Return the server of an address that the settings have accepted."""
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query))
        is_tls_at_once = parts.scheme == "smtps"
        is_starttls = not is_tls_at_once and options.get("starttls") != "never"
        usual = 465 if is_tls_at_once else 587 if is_starttls else 25
        return cls(
            host=parts.hostname or "",
            port=parts.port or usual,
            is_tls_at_once=is_tls_at_once,
            is_starttls=is_starttls,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            authorities=options.get("ca"),
        )

    @property
    def place(self) -> str:
        """Host and port, fit for logs."""
        return f"{self.host}:{self.port}"

    def redacted(self, text: str) -> str:
        """Return what a server has written without the password, which it knows by then."""
        return text.replace(self.password, "(password)") if self.password else text
