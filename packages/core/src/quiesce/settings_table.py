"""The table of all settings: name, default, meaning, and what is expected; the reference page is checked against it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import settings_values as values
from .model import EventKind


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        name: of the environment variable, and of the key in ``[tool.quiesce]``.
        attribute: of ``Settings``.
        default: as it would be written; empty: not set.
        meaning: one sentence for operators.
        expected: what a value must be, in words.
        read: turns a raw value into the one that ``Settings`` holds.
        is_confidential: whether the value is kept out of every message.
    """

    name: str
    attribute: str
    default: str
    meaning: str
    expected: str
    read: Callable[[object], object]
    is_confidential: bool = False


_YES_NO = "true or false"


def _seconds(least: str) -> str:
    return f"seconds, from {least} to 31622400 (366 days)"


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "MAINTENANCE_MODE_ENABLED",
        "enabled",
        "true",
        "The master switch; when false, nothing is ever refused.",
        _YES_NO,
        values.boolean,
    ),
    Setting(
        "MAINTENANCE_DEFAULT_TIMEOUT",
        "default_timeout",
        "7200",
        "How long after its start a window ends by itself, unless it says otherwise.",
        _seconds("1"),
        values.seconds(at_least=1),
    ),
    Setting(
        "MAINTENANCE_CLEANUP_INTERVAL",
        "cleanup_interval",
        "300",
        "How often what is over is cleared away.",
        _seconds("1"),
        values.seconds(at_least=1),
    ),
    Setting(
        "EMERGENCY_MODE_JOB_GRACE_PERIOD",
        "job_grace_period",
        "30",
        "How long running jobs may take to stop in an emergency before they are terminated.",
        _seconds("0"),
        values.seconds(at_least=0),
    ),
    Setting(
        "EMERGENCY_MODE_SESSION_CLEANUP",
        "emergency_session_cleanup",
        "true",
        "Whether an emergency ends the sessions of everyone but admins.",
        _YES_NO,
        values.boolean,
    ),
    Setting(
        "TEST_MODE_SIMULATION",
        "test_mode_simulation",
        "true",
        "Whether a test window judges live traffic and records what it would refuse.",
        _YES_NO,
        values.boolean,
    ),
    Setting(
        "TEST_MODE_LOGGING_LEVEL",
        "test_mode_logging_level",
        "DEBUG",
        "The level at which a test window logs what it would refuse.",
        "DEBUG, INFO, WARNING, ERROR or CRITICAL",
        values.choice("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", fold=str.upper),
    ),
    Setting(
        "MAINTENANCE_NOTIFICATIONS_ENABLED",
        "notifications_enabled",
        "true",
        "Whether anybody is notified at all.",
        _YES_NO,
        values.boolean,
    ),
    Setting(
        "MAINTENANCE_EMAIL_ALERTS",
        "email_alerts",
        "true",
        "Whether alerts go out by e-mail, once a notifier for it is installed.",
        _YES_NO,
        values.boolean,
    ),
    Setting(
        "MAINTENANCE_WEBHOOK_URL",
        "webhook_url",
        "",
        "Where notices are posted, by the plugin quiesce-webhook.",
        "an http or https URL",
        values.web_address,
        is_confidential=True,
    ),
    Setting(
        "MAINTENANCE_WEBHOOK_SECRETS",
        "webhook_secrets",
        "",
        "What signs the notices to MAINTENANCE_WEBHOOK_URL; every one does, so that receivers can change over.",
        "whsec_ and 24 to 64 bytes in base64; several separated by commas",
        values.webhook_secrets,
        is_confidential=True,
    ),
    Setting(
        "MAINTENANCE_WEBHOOK_SHAPE",
        "webhook_shape",
        "standard",
        "The form of the notices to MAINTENANCE_WEBHOOK_URL.",
        "standard, slack or teams",
        values.choice("standard", "slack", "teams"),
    ),
    Setting(
        "MAINTENANCE_WEBHOOK_EVENTS",
        "webhook_events",
        "",
        "The kinds of events that MAINTENANCE_WEBHOOK_URL is told of; every kind when not set.",
        f"any of {', '.join(EventKind)}, separated by commas",
        values.some_of(*EventKind),
    ),
    Setting(
        "MAINTENANCE_WEBHOOK_ALLOW_PRIVATE",
        "webhook_allow_private",
        "false",
        "Whether MAINTENANCE_WEBHOOK_URL may lead to this machine or a private network.",
        _YES_NO,
        values.boolean,
    ),
    Setting(
        "MAINTENANCE_STORE_URL",
        "store_url",
        "sqlite:///maintenance.db",
        "Where the state lies, shared by every process of the service.",
        "an address such as sqlite:///maintenance.db or redis://host:6379/0",
        values.store_address,
        is_confidential=True,
    ),
    Setting(
        "MAINTENANCE_SERVICE_NAME",
        "service_name",
        "default",
        "Tells services apart that share a store.",
        "1 to 64 letters, digits, '-', '_' or '.'",
        values.name,
    ),
    Setting(
        "MAINTENANCE_ADMIN_TOKEN",
        "admin_token",
        "",
        "The bearer token with which operators may command over HTTP; without it, no token is accepted.",
        "16 to 512 printable ASCII characters without spaces",
        values.secret,
        is_confidential=True,
    ),
    Setting(
        "MAINTENANCE_SECRET_KEY",
        "secret_key",
        "",
        "Signs bypass passes, encrypts secrets in the store, and keys the hashes of session ids; without it, no pass is"
        " issued or taken. A new key goes before the former one and a comma.",
        "16 to 512 printable ASCII characters without spaces",
        values.secret,
        is_confidential=True,
    ),
    Setting(
        "MAINTENANCE_TRUSTED_PROXIES",
        "trusted_proxies",
        "",
        "The proxies whose forwarding headers are believed.",
        "IP addresses or networks such as 10.0.0.0/8 (no host bits set), separated by commas",
        values.networks,
    ),
    Setting(
        "MAINTENANCE_EXEMPT_PATHS",
        "exempt_paths",
        "/health, /healthz, /livez, /readyz, /health/*, /static/*, /robots.txt, /favicon.ico",
        "The paths that maintenance never touches.",
        "paths such as /health, or /static/* for all beneath, separated by commas; not /*",
        values.paths,
    ),
    Setting(
        "MAINTENANCE_ON_STALE",
        "on_stale",
        "keep",
        "What a process does that has lost its store: keep the last known state, or refuse writes as well.",
        "keep or refuse-writes",
        values.choice("keep", "refuse-writes"),
    ),
    Setting(
        "MAINTENANCE_WORKER_GONE_AFTER",
        "worker_gone_after",
        "300",
        "How long a worker may be silent before it is taken for gone; until then it is unconfirmed.",
        _seconds("10"),
        values.seconds(at_least=10),
    ),
    Setting(
        "MAINTENANCE_DISABLE_PLUGINS",
        "disabled_plugins",
        "",
        "The plugins that are not even imported.",
        "names of entry points, separated by commas",
        values.names,
    ),
    Setting(
        "MAINTENANCE_HOOK_TIMEOUT",
        "hook_timeout",
        "30",
        "How long each plugin may take to act when a window opens or closes.",
        _seconds("0.1"),
        values.seconds(at_least=0.1),
    ),
    Setting(
        "MAINTENANCE_RQ_URL",
        "rq_url",
        "",
        "The Redis of RQ, for the plugin quiesce-rq.",
        "an address such as redis://host:6379/0",
        values.redis_address,
        is_confidential=True,
    ),
    Setting(
        "MAINTENANCE_CELERY_APP",
        "celery_app",
        "",
        "The Celery application, for the plugin quiesce-celery.",
        "a module and a name in it, such as shop.tasks:app, as celery -A takes it",
        values.dotted_name,
    ),
    Setting(
        "MAINTENANCE_SMTP_URL",
        "smtp_url",
        "",
        "The mail server, for the plugin quiesce-email; without it, no e-mail is sent.",
        "an address such as smtp://user:password@host:587 or smtps://host, and no password without TLS",
        values.smtp_address,
        is_confidential=True,
    ),
    Setting(
        "MAINTENANCE_EMAIL_FROM",
        "email_from",
        "",
        "The sender of e-mails.",
        "an address such as ops@shop.example or Shop <ops@shop.example>, in ASCII",
        values.sender,
    ),
    Setting(
        "MAINTENANCE_EMAIL_OPERATORS",
        "email_operators",
        "",
        "Who is sent everything that happens to windows, by e-mail.",
        "at most 1000 e-mail addresses in ASCII, separated by commas",
        values.mail_addresses,
    ),
    Setting(
        "MAINTENANCE_EMAIL_USERS",
        "email_users",
        "",
        "The users, or the mailing lists they read, who are sent what concerns them.",
        "at most 1000 e-mail addresses in ASCII, separated by commas",
        values.mail_addresses,
    ),
    Setting(
        "MAINTENANCE_EMAIL_TEMPLATES",
        "email_templates",
        "",
        "The folder with templates of e-mails that replace the built-in ones.",
        "the path of a folder",
        values.folder,
    ),
    Setting(
        "MAINTENANCE_EMAIL_TIME_ZONE",
        "email_time_zone",
        "",
        "The time zone of the times in e-mails, which also stand there in UTC.",
        "an IANA time zone such as Europe/Berlin",
        values.time_zone,
    ),
)
