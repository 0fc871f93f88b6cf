"""Which settings e-mails follow: what the application configured, else those of the process."""

from __future__ import annotations

from quiesce import Settings

_configured: list[Settings] = []


def configure(*, settings: Settings | None) -> None:
    """Say which settings e-mails of this process follow, instead of its environment; ``None``: the environment again.

    Needed only where the application hands its settings to the service itself; the command line knows the environment.
    """
    _configured[:] = [] if settings is None else [settings]


def settings_in_force() -> Settings:
    """Return them.

    Raises:
        SettingsError: those of the environment are wrong.
    """
    found = tuple(_configured)
    return found[0] if found else Settings.load()
