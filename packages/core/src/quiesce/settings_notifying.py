"""The settings that are about telling people."""

from __future__ import annotations

from . import settings_values as values
from .model import EventKind
from .settings_entry import YES_NO, Setting

NOTIFYING: tuple[Setting, ...] = (
    Setting(
        "MAINTENANCE_NOTIFICATIONS_ENABLED",
        "notifications_enabled",
        "true",
        "Whether anybody is notified at all.",
        YES_NO,
        values.boolean,
    ),
    Setting(
        "MAINTENANCE_EMAIL_ALERTS",
        "email_alerts",
        "true",
        "Whether alerts go out by e-mail.",
        YES_NO,
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
        YES_NO,
        values.boolean,
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
