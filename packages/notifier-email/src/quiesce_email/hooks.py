"""The hook of Quiesce that this plugin implements; mail is imported once somebody has said where the server is."""

from __future__ import annotations

from quiesce import DeliveryError, Notice, hookimpl

from .configuring import settings_in_force


@hookimpl
def notify(notice: Notice) -> None:
    """Send the notice by e-mail to whom it is for, unless ``MAINTENANCE_EMAIL_ALERTS`` is false.

    Raises:
        DeliveryError: not everybody has it, or nobody will ever take it.
        SettingsError: the settings are wrong.
    """
    settings = settings_in_force()
    if not settings.email_alerts:
        return
    if settings.smtp_url is None:
        raise DeliveryError("MAINTENANCE_SMTP_URL is not set", is_unconfigured=True)
    from .delivering import deliver  # noqa: PLC0415 - only who sends e-mail pays for it

    deliver(notice, settings=settings)
