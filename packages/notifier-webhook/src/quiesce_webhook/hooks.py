"""The hook for the webhook of the settings; the HTTP client is imported once there is one."""

from __future__ import annotations

from quiesce import DeliveryError, Notice, Settings, hookimpl


@hookimpl
def notify(notice: Notice, settings: Settings) -> None:
    """Post a notice to MAINTENANCE_WEBHOOK_URL.

    Raises:
        DeliveryError: the receiver did not take it, or that setting is missing.
        SettingsError: the store keeps a setting of the webhook that cannot be read here.
    """
    settings.check_readable("MAINTENANCE_WEBHOOK_")
    if settings.webhook_url is None:
        raise DeliveryError("MAINTENANCE_WEBHOOK_URL is not set", is_unconfigured=True)
    from .sending import TOTAL_SECONDS  # noqa: PLC0415 - only who has a webhook pays for it
    from .webhook import Webhook  # noqa: PLC0415 - as above

    # An attempt that the core has given up would still be on its way when the next one begins.
    total_seconds = min(TOTAL_SECONDS, 0.9 * settings.hook_timeout.total_seconds())
    Webhook(
        settings.webhook_url,
        secrets=settings.webhook_secrets,
        shape=settings.webhook_shape,
        events=settings.webhook_events,
        allow_private=settings.webhook_allow_private,
        total_seconds=total_seconds,
    ).notify(notice)
