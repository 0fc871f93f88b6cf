"""Settings: what is read, what wins, and what is refused."""

from __future__ import annotations

import dataclasses
import math
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from quiesce.model import SettingsError
from quiesce.settings import SETTINGS, Settings

NAMES = [setting.name for setting in SETTINGS]
SIGNING = "whsec_" + "A" * 32


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder of these tests has no settings file."""
    monkeypatch.chdir(tmp_path)


def faults_of(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        Settings.load(environ)
    return caught.value.faults


def test_nothing_given_means_defaults() -> None:
    """The guide's defaults hold without any configuration."""
    settings = Settings.load({})

    assert settings == Settings()
    assert settings.enabled
    assert settings.default_timeout == timedelta(hours=2)
    assert settings.store_url == "sqlite:///maintenance.db"


def test_table_and_class_agree() -> None:
    """The reference is made from the table, so a default that it misstates misleads every operator."""
    fields = {field.name for field in dataclasses.fields(Settings)} - {"rules", "operations", "sources", "unreadable"}

    assert fields == {setting.attribute for setting in SETTINGS}
    for setting in SETTINGS:
        actual = getattr(Settings(), setting.attribute)
        assert actual == setting.read(setting.default) if setting.default else actual in (None, ())


@pytest.mark.parametrize(
    ("name", "text", "attribute", "value"),
    [
        ("MAINTENANCE_MODE_ENABLED", "False", "enabled", False),
        ("MAINTENANCE_MODE_ENABLED", "0", "enabled", False),
        ("MAINTENANCE_DEFAULT_TIMEOUT", "90.5", "default_timeout", timedelta(seconds=90.5)),
        ("MAINTENANCE_CLEANUP_INTERVAL", "60", "cleanup_interval", timedelta(minutes=1)),
        ("EMERGENCY_MODE_JOB_GRACE_PERIOD", "0", "job_grace_period", timedelta(0)),
        ("EMERGENCY_MODE_SESSION_CLEANUP", "no", "emergency_session_cleanup", False),
        ("TEST_MODE_SIMULATION", "off", "test_mode_simulation", False),
        ("TEST_MODE_LOGGING_LEVEL", "info", "test_mode_logging_level", "INFO"),
        ("MAINTENANCE_NOTIFICATIONS_ENABLED", "false", "notifications_enabled", False),
        ("MAINTENANCE_EMAIL_ALERTS", "false", "email_alerts", False),
        ("MAINTENANCE_WEBHOOK_URL", "https://hooks.example/x", "webhook_url", "https://hooks.example/x"),
        ("MAINTENANCE_WEBHOOK_SECRETS", f"{SIGNING},{SIGNING}", "webhook_secrets", (SIGNING,)),
        ("MAINTENANCE_WEBHOOK_SHAPE", "Slack", "webhook_shape", "slack"),
        ("MAINTENANCE_WEBHOOK_EVENTS", "ended, STARTED", "webhook_events", ("ended", "started")),
        ("MAINTENANCE_WEBHOOK_ALLOW_PRIVATE", "yes", "webhook_allow_private", True),
        ("MAINTENANCE_STORE_URL", "redis://h:6379/1", "store_url", "redis://h:6379/1"),
        ("MAINTENANCE_SERVICE_NAME", "shop-1", "service_name", "shop-1"),
        ("MAINTENANCE_ADMIN_TOKEN", "0123456789abcdef", "admin_token", "0123456789abcdef"),
        ("MAINTENANCE_SECRET_KEY", "0123456789abcdef", "secret_key", "0123456789abcdef"),
        (
            "MAINTENANCE_TRUSTED_PROXIES",
            "10.0.0.0/8, ::1",
            "trusted_proxies",
            (ip_network("10.0.0.0/8"), ip_network("::1/128")),
        ),
        ("MAINTENANCE_EXEMPT_PATHS", " /up/ , /assets/*", "exempt_paths", ("/up", "/assets/*")),
        ("MAINTENANCE_ON_STALE", "refuse-writes", "on_stale", "refuse-writes"),
        ("MAINTENANCE_WORKER_GONE_AFTER", "60", "worker_gone_after", timedelta(minutes=1)),
        ("MAINTENANCE_DISABLE_PLUGINS", "flask, rpc", "disabled_plugins", ("flask", "rpc")),
        ("MAINTENANCE_HOOK_TIMEOUT", "0.5", "hook_timeout", timedelta(seconds=0.5)),
        ("MAINTENANCE_SMTP_URL", "smtps://u:p%40x@h", "smtp_url", "smtps://u:p%40x@h"),
        ("MAINTENANCE_SMTP_URL", "smtp://[::1]:25/?starttls=never", "smtp_url", "smtp://[::1]:25/?starttls=never"),
        ("MAINTENANCE_SMTP_URL", "smtp://u:p@h:587?ca=/a.pem", "smtp_url", "smtp://u:p@h:587?ca=/a.pem"),
        ("MAINTENANCE_EMAIL_FROM", "Größe, Shop <a@b.example>", "email_from", "Größe, Shop <a@b.example>"),
        (
            "MAINTENANCE_EMAIL_OPERATORS",
            "a@x.example, a.b+c@y.example",
            "email_operators",
            ("a@x.example", "a.b+c@y.example"),
        ),
        ("MAINTENANCE_EMAIL_USERS", "a@x.example,a@x.example", "email_users", ("a@x.example",)),
        ("MAINTENANCE_EMAIL_TEMPLATES", "/etc/mail templates", "email_templates", "/etc/mail templates"),
        ("MAINTENANCE_EMAIL_TIME_ZONE", "Europe/Berlin", "email_time_zone", "Europe/Berlin"),
    ],
)
def test_environment_is_read(name: str, text: str, attribute: str, value: object) -> None:
    """Each documented variable takes effect."""
    assert getattr(Settings.load({name: f" {text} "}), attribute) == value


@pytest.mark.parametrize("name", NAMES)
def test_blank_variable_counts_as_not_set(name: str) -> None:
    """Compose files pass variables on that nobody has filled in."""
    assert Settings.load({name: "  "}) == Settings()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MAINTENANCE_MODE_ENABLED", "maybe"),
        ("MAINTENANCE_DEFAULT_TIMEOUT", "nan"),
        ("MAINTENANCE_DEFAULT_TIMEOUT", "inf"),
        ("MAINTENANCE_DEFAULT_TIMEOUT", "-1"),
        ("MAINTENANCE_DEFAULT_TIMEOUT", "0"),
        ("MAINTENANCE_DEFAULT_TIMEOUT", "1e9"),
        ("MAINTENANCE_DEFAULT_TIMEOUT", "9" * 5000),
        ("MAINTENANCE_DEFAULT_TIMEOUT", "31622401"),
        ("MAINTENANCE_DEFAULT_TIMEOUT", "٣٦٠"),
        ("MAINTENANCE_DEFAULT_TIMEOUT", "2h"),
        ("MAINTENANCE_DEFAULT_TIMEOUT", "7200  # 2 hours default"),
        ("TEST_MODE_LOGGING_LEVEL", "LOUD"),
        ("MAINTENANCE_WEBHOOK_URL", "ftp://x/"),
        ("MAINTENANCE_WEBHOOK_URL", "https://"),
        ("MAINTENANCE_WEBHOOK_URL", "https://x:99999/"),
        ("MAINTENANCE_WEBHOOK_URL", "https://[x/"),
        ("MAINTENANCE_WEBHOOK_SECRETS", "c2hvcnQ="),
        ("MAINTENANCE_WEBHOOK_SECRETS", "whsec_c2hvcnQ="),
        ("MAINTENANCE_WEBHOOK_SECRETS", f"{SIGNING},whsec_{'!' * 32}"),
        ("MAINTENANCE_WEBHOOK_SECRETS", "whsec_" + "A" * 88),
        ("MAINTENANCE_WEBHOOK_SHAPE", "fax"),
        ("MAINTENANCE_WEBHOOK_EVENTS", "started, lunch"),
        ("MAINTENANCE_STORE_URL", "maintenance.db"),
        ("MAINTENANCE_SERVICE_NAME", "a b"),
        ("MAINTENANCE_SERVICE_NAME", "x" * 65),
        ("MAINTENANCE_SERVICE_NAME", "{x}"),
        ("MAINTENANCE_ADMIN_TOKEN", "fifteen-letters"),
        ("MAINTENANCE_ADMIN_TOKEN", "sixteen letters!"),
        ("MAINTENANCE_ADMIN_TOKEN", "ünprintable-token"),
        ("MAINTENANCE_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("MAINTENANCE_TRUSTED_PROXIES", "*"),
        ("MAINTENANCE_EXEMPT_PATHS", "health"),
        ("MAINTENANCE_EXEMPT_PATHS", "/*"),
        ("MAINTENANCE_EXEMPT_PATHS", "/a*"),
        ("MAINTENANCE_EXEMPT_PATHS", "/a/*/b"),
        ("MAINTENANCE_EXEMPT_PATHS", "/a/../b"),
        ("MAINTENANCE_ON_STALE", "open"),
        ("MAINTENANCE_HOOK_TIMEOUT", "0"),
        ("MAINTENANCE_SMTP_URL", "http://h"),
        ("MAINTENANCE_SMTP_URL", "smtp://"),
        ("MAINTENANCE_SMTP_URL", "smtp://h:99999"),
        ("MAINTENANCE_SMTP_URL", "smtp://u@h"),
        ("MAINTENANCE_SMTP_URL", "smtp://u:p@h?starttls=never"),
        ("MAINTENANCE_SMTP_URL", "smtps://h?starttls=never"),
        ("MAINTENANCE_SMTP_URL", "smtp://h?starttls=maybe"),
        ("MAINTENANCE_SMTP_URL", "smtp://h?starttls=never&starttls=required"),
        ("MAINTENANCE_SMTP_URL", "smtp://h?verify=no"),
        ("MAINTENANCE_SMTP_URL", "smtp://h/inbox"),
        ("MAINTENANCE_SMTP_URL", "smtp://u:p%0d%0a@h"),
        ("MAINTENANCE_EMAIL_FROM", "ops"),
        ("MAINTENANCE_EMAIL_FROM", "Shop <ops@x.example"),
        ("MAINTENANCE_EMAIL_FROM", "Shop\r\nBcc: e@x.example <ops@x.example>"),
        ("MAINTENANCE_EMAIL_OPERATORS", "a@x.example b@x.example"),
        ("MAINTENANCE_EMAIL_OPERATORS", "a@x.example\r\nb@x.example"),
        ("MAINTENANCE_EMAIL_OPERATORS", "größe@x.example"),
        ("MAINTENANCE_EMAIL_USERS", "a@-x.example"),
        ("MAINTENANCE_EMAIL_USERS", ",".join(f"u{n}@x.example" for n in range(1001))),
        ("MAINTENANCE_EMAIL_TIME_ZONE", "Europe/Atlantis"),
        ("MAINTENANCE_EMAIL_TIME_ZONE", "/etc/passwd"),
        ("MAINTENANCE_DISABLE_PLUGINS", "a b"),
    ],
)
def test_bad_value_is_a_fault_that_says_what_is_expected(name: str, text: str) -> None:
    """A setting that is silently ignored is found out in the middle of an incident."""
    (fault,) = faults_of({name: text})

    assert fault.startswith(f"{name}: ")
    assert " is not " in fault
    assert len(fault) < 300


def test_all_faults_are_listed_at_once() -> None:
    """An operator fixes them in one go."""
    faults = faults_of({"MAINTENANCE_ON_STALE": "x", "MAINTENANCE_HOOK_TIMEOUT": "x", "MAINTENANCE_STORE_ULR": "x"})

    assert [fault.partition(":")[0] for fault in faults] == [
        "MAINTENANCE_ON_STALE",
        "MAINTENANCE_HOOK_TIMEOUT",
        "MAINTENANCE_STORE_ULR",
    ]


@pytest.mark.parametrize(
    "name",
    [
        *("MAINTENANCE_ADMIN_TOKEN", "MAINTENANCE_SECRET_KEY", "MAINTENANCE_SMTP_URL", "MAINTENANCE_STORE_URL"),
        *("MAINTENANCE_WEBHOOK_SECRETS", "MAINTENANCE_WEBHOOK_URL"),
    ],
)
def test_confidential_value_is_never_shown(name: str) -> None:
    """Faults and reprs end in logs that many people read."""
    (fault,) = faults_of({name: "hush \x01"})
    shown = repr(
        Settings(
            admin_token="hush" * 4, secret_key="hush" * 4, store_url="redis://:hush@h/0", smtp_url="smtp://u:hush@h"
        )
    )

    assert "hush" not in fault
    assert "hush" not in shown


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MAINTENANCE_DEFAULT_TIMOUT", "MAINTENANCE_DEFAULT_TIMEOUT"),
        ("MAINTENANCE_STORE_URI", "MAINTENANCE_STORE_URL"),
        ("MAINTENANCE_WEBHOOK_SECRET", "MAINTENANCE_WEBHOOK_SECRETS"),
        ("MAINTENANCE_CONFIGFILE", "MAINTENANCE_CONFIG_FILE"),
        ("MAINTENENCE_ADMIN_TOKEN", "MAINTENANCE_ADMIN_TOKEN"),
        ("EMERGENCY_MODE_JOBS_GRACE_PERIOD", "EMERGENCY_MODE_JOB_GRACE_PERIOD"),
    ],
)
def test_misspelled_variable_is_a_fault(name: str, meant: str) -> None:
    """A misspelled token leaves the door in a state that nobody intended."""
    (fault,) = faults_of({name: "x"})

    assert meant in fault


@pytest.mark.parametrize(
    "name",
    [
        "MAINTENANCE_MODE",
        "MAINTENANCE_CONTACT",
        "MAINTENANCE_PAGER_SECRET",
        "MAINTENANCE_EMAIL_SIGNATURE",
        "TEST_MODE",
        "MAIL",
    ],
)
def test_variable_of_other_software_is_left_alone(name: str) -> None:
    """The prefix is a common word; others use it too."""
    assert Settings.load({name: "x"}) == Settings()


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("default_timeout", timedelta(days=-1)),
        ("default_timeout", math.nan),
        ("default_timeout", 10**4000),
        ("default_timeout", True),
        ("enabled", 1),
        ("store_url", None),
        ("exempt_paths", None),
        ("admin_token", "short"),
        ("admin_token", ""),
        ("on_stale", ["keep"]),
        ("webhook_secrets", [{}]),
        ("webhook_events", [["started"]]),
    ],
)
def test_code_is_held_to_the_same_rules(attribute: str, value: Any) -> None:
    """Settings made by code are not less dangerous than those of the environment."""
    with pytest.raises(SettingsError):
        Settings(**{attribute: value})


def test_code_may_write_what_the_environment_may() -> None:
    """``Settings(trusted_proxies=("10.0.0.0/8",))`` is what everyone tries first."""
    given: dict[str, Any] = {"trusted_proxies": ["10.0.0.0/8"], "default_timeout": 60, "exempt_paths": ()}

    settings = Settings(**given)

    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"),)
    assert settings.default_timeout == timedelta(minutes=1)
    assert settings.exempt_paths == ()


def test_configuration_object_goes_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide hands the application's own ``Config()`` to the service."""
    monkeypatch.setenv("MAINTENANCE_SERVICE_NAME", "from-environment")
    monkeypatch.setenv("MAINTENANCE_HOOK_TIMEOUT", "7")

    settings = Settings.from_config({"MAINTENANCE_SERVICE_NAME": "from-code", "MAINTENANCE_WEBHOOK_URL": ""})

    assert settings.service_name == "from-code"
    assert settings.hook_timeout == timedelta(seconds=7)
    assert settings.webhook_url is None
