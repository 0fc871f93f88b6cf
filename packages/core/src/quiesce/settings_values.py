"""Reads one setting's value, whether it comes as text, from TOML or from code."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import PurePath
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
OnStale = Literal["keep", "refuse-writes"]

LONGEST = timedelta(days=366)
_MOST_DAYS = 36_500
MOST_MAIL_ADDRESSES = 1000

_WHOLE = re.compile(r"[0-9]{1,9}")
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECRET = re.compile(r"[!-~]{16,512}")
_SIGNING = "whsec_"
_PATH = re.compile(r"/[^*?#\x00-\x20\x7f\\]*(?:/\*)?")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^\x00-\x20\x7f]*", re.IGNORECASE)
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?::[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)?", re.ASCII)
_MAIL = re.compile(
    r"(?=[^@]{1,64}@)[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*"
    r"@(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})(?:\.[A-Za-z0-9][A-Za-z0-9-]{0,62})*",
    re.ASCII,
)
_SENDER = re.compile(r"(?:[^<>\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]{0,100})<([^<>]+)>")
_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class UnreadableError(ValueError):
    """Raised when a value is not what its setting expects; the setting says what that is."""


def boolean(raw: object) -> bool:
    """Return a yes or no."""
    if isinstance(raw, bool):
        return raw
    found = _BOOLEANS.get(raw.lower()) if isinstance(raw, str) else None
    if found is None:
        raise UnreadableError
    return found


def days(raw: object) -> timedelta:
    """Read a duration in whole days, from one day to a hundred years."""
    if isinstance(raw, timedelta):
        raw = raw.days if not raw % timedelta(days=1) else 0
    number = int(raw) if isinstance(raw, str) and raw.isascii() and raw.isdigit() and len(raw) < 6 else raw
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= _MOST_DAYS:
        raise UnreadableError
    return timedelta(days=number)


def seconds(*, at_least: float) -> Callable[[object], timedelta]:
    """Return a reader of durations, given as seconds, from ``at_least`` to 366 days."""

    def read(raw: object) -> timedelta:
        if isinstance(raw, timedelta):
            duration = raw
        elif isinstance(raw, str) and _SECONDS.fullmatch(raw):
            duration = timedelta(seconds=float(raw))
        elif isinstance(raw, (int, float)) and not isinstance(raw, bool) and _is_moderate(raw):
            duration = timedelta(seconds=raw)
        else:
            raise UnreadableError
        if not timedelta(seconds=at_least) <= duration <= LONGEST:
            raise UnreadableError
        return duration

    return read


def whole_number(*, most: int) -> Callable[[object], int]:
    """Return a reader of whole numbers from 0 to ``most``."""

    def read(raw: object) -> int:
        number = int(raw) if isinstance(raw, str) and _WHOLE.fullmatch(raw) else raw
        if type(number) is not int or not 0 <= number <= most:
            raise UnreadableError
        return number

    return read


def choice(*choices: str, fold: Callable[[str], str] = str.lower) -> Callable[[object], str]:
    """Return a reader of one of some words, in any letter case."""

    def read(raw: object) -> str:
        if not isinstance(raw, str) or fold(raw) not in choices:
            raise UnreadableError
        return fold(raw)

    return read


def some_of(*choices: str) -> Callable[[object], tuple[str, ...]]:
    """Return a reader of some of the words, each once, in any letter case."""
    one = choice(*choices)
    return lambda raw: tuple(dict.fromkeys(one(item) for item in _items(raw)))


def name(raw: object) -> str:
    """Return a name of letters, digits, ``-``, ``_`` and ``.``."""
    if not isinstance(raw, str) or not _NAME.fullmatch(raw):
        raise UnreadableError
    return raw


def names(raw: object) -> tuple[str, ...]:
    """Return names, each once."""
    return tuple(dict.fromkeys(name(item) for item in _items(raw)))


def secret(raw: object) -> str:
    """Return a secret of at least 16 printable ASCII characters without spaces."""
    if not isinstance(raw, str) or not _SECRET.fullmatch(raw):
        raise UnreadableError
    return raw


def split_keys(raw: str) -> tuple[str, ...]:
    """Return the keys of a secret, the one in use first; a comma parts them if what is between is long enough."""
    parts = tuple(raw.split(","))
    return parts if all(map(_SECRET.fullmatch, parts)) else (raw,)


def web_address(raw: object) -> str:
    """Return an ``http`` or ``https`` URL."""
    if not isinstance(raw, str) or not _ADDRESS.fullmatch(raw):
        raise UnreadableError
    try:
        parts = urlsplit(raw)
        usable = parts.scheme in ("http", "https") and parts.hostname is not None and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UnreadableError
    return raw


def webhook_secrets(raw: object) -> tuple[str, ...]:
    """Return the secrets of a Standard Webhook, each once."""
    return tuple(dict.fromkeys(_webhook_secret(item) for item in _items(raw)))


def store_address(raw: object) -> str:
    """Return an address with a scheme; which schemes there are is known to the stores and plugins."""
    if not isinstance(raw, str) or not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^\x00-\x1f\x7f]*", raw):
        raise UnreadableError
    return raw


def redis_address(raw: object) -> str:
    """Return the address of a Redis."""
    if not isinstance(raw, str) or not re.fullmatch(r"(rediss?|unix)://[^\x00-\x20\x7f]+", raw):
        raise UnreadableError
    return raw


def smtp_address(raw: object) -> str:
    """Return the address of a mail server: ``smtp://`` or ``smtps://``, and a login only where TLS covers it.

    Its query may hold ``starttls=required`` (the default of ``smtp``) or ``starttls=never``, and ``ca=/path.pem``.
    """
    if not isinstance(raw, str) or not _ADDRESS.fullmatch(raw):
        raise UnreadableError
    try:
        parts = urlsplit(raw)
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        usable = parts.scheme in ("smtp", "smtps") and parts.hostname is not None and parts.port != 0
    except ValueError as exc:
        raise UnreadableError from exc
    options = dict(query)
    login = (unquote(parts.username or ""), unquote(parts.password or ""))
    usable = usable and parts.path in ("", "/") and not parts.fragment
    usable = usable and len(options) == len(query) and options.keys() <= {"starttls", "ca"}
    usable = usable and options.get("starttls", "required") in ("required", "never") and options.get("ca") != ""
    usable = usable and bool(login[0]) == bool(login[1]) and re.fullmatch(r"[ -~]*", "".join(login)) is not None
    usable = usable and not ("starttls" in options and parts.scheme == "smtps")
    if not usable or (any(login) and options.get("starttls") == "never"):
        raise UnreadableError
    return raw


def mail_addresses(raw: object) -> tuple[str, ...]:
    """Return e-mail addresses in ASCII, each once."""
    found: dict[str, None] = {}
    for item in _items(raw):
        if not isinstance(item, str) or not _MAIL.fullmatch(item):
            raise UnreadableError
        found[item] = None
    if len(found) > MOST_MAIL_ADDRESSES:
        raise UnreadableError
    return tuple(found)


def sender(raw: object) -> str:
    """Return an e-mail address in ASCII, alone or as ``Name <address>``."""
    if not isinstance(raw, str):
        raise UnreadableError
    named = _SENDER.fullmatch(raw)
    if not _MAIL.fullmatch(raw if named is None else named[1]):
        raise UnreadableError
    return raw


def folder(raw: object) -> str:
    """Return the path of a folder; whether it is there is seen when it is used."""
    text = str(raw) if isinstance(raw, PurePath) else raw
    if not isinstance(text, str) or not text or "\x00" in text:
        raise UnreadableError
    return text


def time_zone(raw: object) -> str:
    """Return the name of an IANA time zone that this machine knows."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - only who names a zone pays for it

    if not isinstance(raw, str) or len(raw) > 100:
        raise UnreadableError
    try:
        return ZoneInfo(raw).key
    except (LookupError, ValueError, OSError) as exc:
        raise UnreadableError from exc


def dotted_name(raw: object) -> str:
    """Return the name of a module, or of something in it."""
    if not isinstance(raw, str) or not _DOTTED.fullmatch(raw):
        raise UnreadableError
    return raw


def networks(raw: object) -> tuple[IPNetwork, ...]:
    """Return networks; a lone address is a network of one."""
    found: dict[IPNetwork, None] = {}
    for item in _items(raw):
        if isinstance(item, (ipaddress.IPv4Network, ipaddress.IPv6Network)):
            found[item] = None
        elif isinstance(item, str):
            try:
                found[ipaddress.ip_network(item)] = None
            except ValueError as exc:
                raise UnreadableError from exc
        else:
            raise UnreadableError
    return tuple(found)


def paths(raw: object) -> tuple[str, ...]:
    """Return exact paths and ``prefix/*``, without slashes at the end; ``/*`` would exempt everything: refused."""
    found: dict[str, None] = {}
    for item in _items(raw):
        if not isinstance(item, str) or not _PATH.fullmatch(item):
            raise UnreadableError
        if "//" in item or "/../" in item + "/" or "/./" in item + "/":
            raise UnreadableError
        found[item.rstrip("/") or "/"] = None
    return tuple(found)


def _webhook_secret(item: object) -> str:
    if not isinstance(item, str) or not item.startswith(_SIGNING):
        raise UnreadableError
    try:
        key = base64.b64decode(item.removeprefix(_SIGNING), validate=True)
    except ValueError as exc:
        raise UnreadableError from exc
    if not 24 <= len(key) <= 64:
        raise UnreadableError
    return item


def _items(raw: object) -> Iterable[object]:
    if isinstance(raw, str):
        return [item.strip() for item in raw.split(",") if item.strip()]
    if isinstance(raw, (list, tuple)):
        return raw
    raise UnreadableError


def _is_moderate(number: float) -> bool:
    return abs(number) <= LONGEST.total_seconds()
