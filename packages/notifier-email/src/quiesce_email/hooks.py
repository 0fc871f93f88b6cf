"""The hook of Quiesce that this plugin implements; mail is imported once somebody has said where the server is."""

from __future__ import annotations

from quiesce import DeliveryError, Notice, Settings, hookimpl


@hookimpl
def notify(notice: Notice, settings: Settings) -> None:
    """Send the notice by e-mail to whom it is for, unless ``MAINTENANCE_EMAIL_ALERTS`` is false.

    Raises:
        DeliveryError: not everybody has it, or nobody will ever take it.
        SettingsError: the store keeps a setting of e-mail that cannot be read here.
    """
    settings.check_readable("MAINTENANCE_SMTP_", "MAINTENANCE_EMAIL_")
    if not settings.email_alerts:
        return
    if settings.smtp_url is None:
        raise DeliveryError("MAINTENANCE_SMTP_URL is not set", is_unconfigured=True)
    from .delivering import deliver  # noqa: PLC0415 - only who sends e-mail pays for it

    deliver(notice, settings=settings)
