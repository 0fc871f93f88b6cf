"""Settings in the store: what is in force, what is kept secret, and what happens without the right key."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from quiesce import (
    ConflictError,
    EnhancedMaintenanceModeService,
    InvalidValueError,
    Notice,
    SettingsError,
    SettingSource,
    hookimpl,
)
from quiesce.control.operators import Enrolment
from quiesce.control.stored_settings import COLLECTION, FRESH_SECONDS
from quiesce.plugins import PluginManager
from quiesce.settings import SETTINGS, Settings
from quiesce.stores.memory import MemoryStore
from quiesce.testing import FakeClock, eventually

from .conftest import MakeService

FORMER, NEWEST = "the-former-key-of-the-tests", "the-newest-key-of-the-tests"
SMTP, WEBHOOK = "MAINTENANCE_SMTP_URL", "MAINTENANCE_WEBHOOK_URL"
SECRET = "smtps://mailer:correct-horse-battery@mail.shop.example"
HOOK = "https://hooks.shop.example/staple-battery"


@pytest.fixture
def keyed(any_service: EnhancedMaintenanceModeService, make_service: MakeService) -> EnhancedMaintenanceModeService:
    """A service with a key, on each kind of store that needs no server."""
    return make_service(store=any_service.store, secret_key=FORMER)


def bodies(service: EnhancedMaintenanceModeService) -> str:
    return " ".join(item.body.decode() for item in service.store.items.newest(COLLECTION))


def test_what_is_set_is_in_force_until_it_is_unset(keyed: EnhancedMaintenanceModeService) -> None:
    """The point of it all: no restart, no deployment."""
    told = keyed.config.set("MAINTENANCE_EMAIL_OPERATORS", "ann@shop.example, bob@shop.example", actor="ann")

    assert (told.source, told.value) == (SettingSource.STORE, "ann@shop.example, bob@shop.example")
    assert (told.stored_by, told.stored_at) == ("ann", keyed.clock.now())
    assert keyed.config.current().email_operators == ("ann@shop.example", "bob@shop.example")
    assert keyed.settings.email_operators == ()

    told = keyed.config.unset("MAINTENANCE_EMAIL_OPERATORS", actor="ann")

    assert (told.source, told.is_set, told.stored_at) == (SettingSource.DEFAULT, False, None)
    assert keyed.config.current().email_operators == ()
    with pytest.raises(ConflictError, match="keeps no MAINTENANCE_EMAIL_OPERATORS"):
        keyed.config.unset("MAINTENANCE_EMAIL_OPERATORS", actor="ann")


def test_secret_is_encrypted_and_told_to_nobody(keyed: EnhancedMaintenanceModeService) -> None:
    """A copy of the store, or a glance at the screen, is no copy of the password."""
    told = keyed.config.set(SMTP, SECRET, actor="ann")

    assert (told.is_set, told.is_secret, told.value, told.stored_by) == (True, True, None, "ann")
    assert keyed.config.current().smtp_url == SECRET
    assert "horse" not in bodies(keyed) + repr(keyed.config.list()) + repr(keyed.config.current())
    assert "horse" not in repr(keyed._runtime.stored.in_force())
    records = [record for record in keyed.store.audit() if record.action == "config.set"]
    assert [(record.actor, record.detail) for record in records] == [("ann", SMTP)]


def test_what_a_process_was_given_wins_over_the_store(make_service: MakeService) -> None:
    """Whoever deploys it decides, also by a value that is the default; and each source is told apart."""
    store = MemoryStore()
    given = Settings.load({"MAINTENANCE_EMAIL_FROM": "env@shop.example", "MAINTENANCE_EMAIL_ALERTS": "true"})
    service = EnhancedMaintenanceModeService(given, store=store, plugins=PluginManager())
    service.config.set("MAINTENANCE_EMAIL_FROM", "stored@shop.example", actor="ann")
    service.config.set("MAINTENANCE_EMAIL_ALERTS", "false", actor="ann")
    service.config.set("MAINTENANCE_EMAIL_TIME_ZONE", "Europe/Berlin", actor="ann")

    current = service.config.current()
    assert (current.email_from, current.email_alerts, current.email_time_zone) == (
        "env@shop.example",
        True,
        "Europe/Berlin",
    )
    told = {each.name: each for each in service.config.list()}
    assert told["MAINTENANCE_EMAIL_ALERTS"].source is SettingSource.ENVIRONMENT
    assert told["MAINTENANCE_EMAIL_ALERTS"].stored_by == "ann"
    assert told["MAINTENANCE_WEBHOOK_SHAPE"].source is SettingSource.DEFAULT
    code = make_service(store=store, email_from="code@shop.example")
    assert code.config.get("MAINTENANCE_EMAIL_FROM").source is SettingSource.APPLICATION


def test_settings_take_from_a_store_only_what_they_were_not_given() -> None:
    """Whoever calls it; and what is at its default by chance is not what was given."""
    settings = Settings(webhook_shape="teams").with_stored({"webhook_shape": "slack", "email_alerts": False})

    assert (settings.webhook_shape, settings.email_alerts) == ("teams", False)


def test_file_is_a_source_of_its_own(tmp_path: Path) -> None:
    """An operator who wonders where a value comes from is told which file to open, or that it is none."""
    path = tmp_path / "quiesce.toml"
    path.write_text('[tool.quiesce]\nMAINTENANCE_WEBHOOK_SHAPE = "slack"\n', encoding="utf-8")
    settings = Settings.load({}, path=path)

    shape = next(setting for setting in SETTINGS if setting.name == "MAINTENANCE_WEBHOOK_SHAPE")

    assert settings.source_of(shape) is SettingSource.FILE


def test_another_process_follows_within_a_second(make_service: MakeService, clock: FakeClock) -> None:
    """Without asking the store again at every question."""
    store = MemoryStore()
    here, there = make_service(store=store), make_service(store=store)
    assert there.config.current().webhook_shape == "standard"

    here.config.set("MAINTENANCE_WEBHOOK_SHAPE", "slack", actor="ann")

    assert there.config.current().webhook_shape == "standard"
    clock.advance(FRESH_SECONDS)
    assert there.config.current().webhook_shape == "slack"


@pytest.mark.parametrize(
    "value",
    [
        "",
        " \n",
        "smtp://mail\r\nBcc: x.example",
        "smtps://mail.shop.example\x00",
        "smtps://mail.\x1b[2Jexample",
        "smtps://mail.shop\u2028.example",
        "smtps://mail.shop.example\ud800",
        "smtps://" + "m" * 2**20,
        "http://mail.shop.example",
    ],
    ids=["empty", "blank", "lines", "nul", "escape", "separator", "surrogate", "1 MB", "another scheme"],
)
def test_hostile_value_is_refused_and_not_shown(keyed: EnhancedMaintenanceModeService, value: str) -> None:
    """It would end in a header, a terminal or every worker's memory; half a secret in an error is a secret told."""
    revision = keyed.store.revision()

    with pytest.raises(InvalidValueError, match=f"^{SMTP}: ") as caught:
        keyed.config.set(SMTP, value, actor="ann")

    assert "mail" not in caught.value.problem.partition(" is not ")[0]
    assert len(str(caught.value)) < 300
    assert keyed.store.revision() == revision
    assert bodies(keyed) == ""


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("MAINTENANCE_STORE_URL", "needed to find the store"),
        ("MAINTENANCE_SERVICE_NAME", "needed to find"),
        ("MAINTENANCE_SECRET_KEY", "is the key"),
        ("MAINTENANCE_ADMIN_TOKEN", "make themselves an operator"),
        ("MAINTENANCE_WEBHOOK_ALLOW_PRIVATE", "protects the networks"),
        ("MAINTENANCE_CLEANUP_INTERVAL", "read once, when a process starts"),
        ("maintenance_smtp_ur", "did you mean MAINTENANCE_SMTP_URL"),
        ("x" * 2**20, "is no setting"),
        ("\x00\x1b[2J", "is no setting"),
    ],
)
def test_what_the_store_cannot_keep_is_refused_with_the_reason(
    keyed: EnhancedMaintenanceModeService, name: str, why: str
) -> None:
    """An operator who tries it deserves to know what would break."""
    asks: list[Callable[[], object]] = [
        partial(keyed.config.set, name, "value", actor="ann"),
        partial(keyed.config.get, name),
        partial(keyed.config.unset, name, actor="ann"),
    ]
    for ask in asks:
        with pytest.raises(InvalidValueError, match=why) as caught:
            ask()
        assert len(str(caught.value)) < 300
        assert caught.value.problem.isprintable()


def test_secret_without_a_key_is_refused_and_plain_settings_are_not(service: EnhancedMaintenanceModeService) -> None:
    """There is no default key, and it is never kept in the open instead."""
    with pytest.raises(SettingsError, match="MAINTENANCE_SECRET_KEY: is not set"):
        service.config.set(SMTP, SECRET, actor="ann")

    assert bodies(service) == ""
    assert service.config.set("MAINTENANCE_EMAIL_ALERTS", "no", actor="ann").value == "false"


@pytest.mark.parametrize("key", [None, NEWEST])
def test_process_without_the_right_key_goes_on_and_says_so(
    keyed: EnhancedMaintenanceModeService, make_service: MakeService, caplog: pytest.LogCaptureFixture, key: str | None
) -> None:
    """It must not crash the application; and what it cannot read is not the same as what was never set."""
    keyed.config.set(SMTP, SECRET, actor="ann")
    keyed.config.set("MAINTENANCE_EMAIL_FROM", "ops@shop.example", actor="ann")
    other = make_service(store=keyed.store, secret_key=key)

    with caplog.at_level(logging.ERROR, logger="quiesce"):
        current = other.config.current()
        other.config.list()

    assert (current.smtp_url, current.email_from) == (None, "ops@shop.example")
    assert current.unreadable == (SMTP,)
    with pytest.raises(SettingsError, match=SMTP):
        current.check_readable("MAINTENANCE_SMTP_", "MAINTENANCE_EMAIL_")
    current.check_readable("MAINTENANCE_WEBHOOK_")
    assert "MAINTENANCE_SECRET_KEY" in other.config.problems()[SMTP]
    told = other.config.get(SMTP)
    assert (told.source, told.is_set, told.stored_by) == (SettingSource.DEFAULT, False, "ann")
    assert told.problem == other.config.problems()[SMTP]
    assert len(caplog.records) == 1  # not once for each question
    other.config.unset(SMTP, actor="ann")
    assert other.config.problems() == {}


def test_what_is_given_needs_no_key(keyed: EnhancedMaintenanceModeService, make_service: MakeService) -> None:
    """The way out for a machine without the key: its own environment."""
    keyed.config.set(SMTP, SECRET, actor="ann")

    other = make_service(store=keyed.store, smtp_url="smtps://other.shop.example")

    assert other.config.current().smtp_url == "smtps://other.shop.example"
    assert other.config.problems() == {}
    keyed.store.items.put(COLLECTION, {SMTP: b"damaged"})
    assert other.config.get(SMTP).problem
    other.config.current().check_readable("MAINTENANCE_SMTP_")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"secret": "x"}',
        b'{"secret": "x", "at": "2026-01-01T00:00:00+00:00", "by": "ann"}',
        b'{"value": "https://plain.example", "at": "2026-01-01T00:00:00+00:00", "by": "mallory"}',
    ],
)
def test_damaged_item_is_a_problem_of_that_setting_alone(keyed: EnhancedMaintenanceModeService, body: bytes) -> None:
    """Nor is a secret taken that somebody without the key has put there in plain text."""
    keyed.config.set("MAINTENANCE_EMAIL_FROM", "ops@shop.example", actor="ann")
    keyed.store.items.put(COLLECTION, {WEBHOOK: body})
    keyed._runtime.stored.forget()

    assert keyed.config.current().webhook_url is None
    assert keyed.config.current().email_from == "ops@shop.example"
    assert set(keyed.config.problems()) == {WEBHOOK}
    assert keyed.config.set(WEBHOOK, HOOK, actor="ann").problem == ""


def test_ciphertext_of_another_setting_is_not_taken(keyed: EnhancedMaintenanceModeService) -> None:
    """Who can write to the store must not make mail's password the address of a webhook."""
    keyed.config.set(SMTP, SECRET, actor="ann")
    (item,) = keyed.store.items.newest(COLLECTION)
    keyed.store.items.put(COLLECTION, {WEBHOOK: item.body})

    assert keyed.config.get(WEBHOOK).problem
    assert keyed.config.current().webhook_url is None


class Seen:
    """A notifier that keeps the settings it was given."""

    def __init__(self) -> None:
        self.settings: list[Settings] = []

    @hookimpl
    def notify(self, notice: Notice, settings: Settings) -> None:
        """Keep them."""
        self.settings.append(settings)


def test_notifiers_are_given_what_is_in_force_at_each_delivery(make_service: MakeService, clock: FakeClock) -> None:
    """In the workers too, which are not started anew."""
    seen, plugins = Seen(), PluginManager()
    plugins.register(seen, "seen")
    service = make_service(plugins=plugins, secret_key=FORMER)
    service.notifications.test("seen", actor="ann")

    service.config.set(SMTP, SECRET, actor="ann")
    service.notifications.test("seen", actor="ann")

    assert [settings.smtp_url for settings in seen.settings] == [None, SECRET]
    service.config.set("MAINTENANCE_NOTIFICATIONS_ENABLED", "false", actor="ann")
    with pytest.raises(ConflictError, match="MAINTENANCE_NOTIFICATIONS_ENABLED"):
        service.notifications.test("seen", actor="ann")


def test_worker_sends_by_what_is_in_the_store_now(make_service: MakeService) -> None:
    """The whole way: the leading worker's outbox, and a command in another process."""
    seen, plugins, store = Seen(), PluginManager(), MemoryStore()
    plugins.register(seen, "seen")
    worker = make_service(store=store, plugins=plugins, secret_key=FORMER)
    make_service(store=store, secret_key=FORMER).config.set(SMTP, SECRET, actor="ann")
    worker.start()

    worker.enable(reason="Upgrade", actor="ann")

    eventually(lambda: bool(seen.settings))
    assert seen.settings[0].smtp_url == SECRET


def fill(service: EnhancedMaintenanceModeService, *operators: str) -> None:
    service.config.set(SMTP, SECRET, actor="ann")
    service.config.set(WEBHOOK, HOOK, actor="ann")
    service.config.set("MAINTENANCE_EMAIL_FROM", "ops@shop.example", actor="ann")
    for name in operators:
        service.operators.enroll(Enrolment(name, "JBSWY3DPEHPK3PXP", "otpauth://"), code=None, actor="ann")


def test_rotation_encrypts_everything_by_the_newest_key(
    keyed: EnhancedMaintenanceModeService, make_service: MakeService
) -> None:
    """Afterwards the former key opens nothing and may be published."""
    fill(keyed, "bob")
    both = make_service(store=keyed.store, secret_key=f"{NEWEST},{FORMER}")

    rotation = both.config.rotate(actor="ann")

    assert rotation.encrypted_anew == (SMTP, WEBHOOK, "operator bob")
    assert (rotation.up_to_date, rotation.unreadable) == ((), ())
    newest = make_service(store=keyed.store, secret_key=NEWEST)
    assert (newest.config.current().smtp_url, newest.config.current().webhook_url) == (SECRET, HOOK)
    assert newest.config.get(SMTP).stored_by == "ann"
    kept = newest.operators.find("bob")
    assert kept is not None
    assert kept.secret == "JBSWY3DPEHPK3PXP"
    former = make_service(store=keyed.store, secret_key=FORMER)
    assert set(former.config.problems()) == {SMTP, WEBHOOK}
    assert newest.config.rotate(actor="ann").up_to_date == rotation.encrypted_anew
    details = [record.detail for record in keyed.store.audit() if record.action == "secrets.rotated"]
    assert details[0] == "3 encrypted anew, 0 up to date, 0 not readable"


class InterruptedRotationError(Exception):
    """The process died."""


def test_rotation_that_was_interrupted_is_finished_by_the_next(
    make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every point each secret is whole, and opened by the two keys together."""
    store = MemoryStore()
    former = make_service(store=store, secret_key=FORMER)
    fill(former, "bob", "cid")
    both = make_service(store=store, secret_key=f"{NEWEST},{FORMER}")
    put, done = store.items.put, 0

    def dies(*arguments: Any, **named: Any) -> bool:
        nonlocal done
        if done == 2:
            raise InterruptedRotationError
        done += 1
        return put(*arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(store.items, "put", dies)
        with pytest.raises(InterruptedRotationError):
            both.config.rotate(actor="ann")

    reader = make_service(store=store, secret_key=f"{NEWEST},{FORMER}")
    assert reader.config.problems() == {}
    assert all(reader.operators.find(name) for name in ("bob", "cid"))
    rotation = both.config.rotate(actor="ann")
    assert (len(rotation.up_to_date), len(rotation.encrypted_anew)) == (2, 2)
    assert make_service(store=store, secret_key=NEWEST).config.problems() == {}
    assert [r.action for r in store.audit() if r.action.startswith("secrets")] == [
        "secrets.rotation_begun",
        "secrets.rotation_begun",
        "secrets.rotated",
    ]


def test_rotation_overwrites_nothing_that_is_set_meanwhile(
    make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newer value wins, however late the rotation writes."""
    store = MemoryStore()
    former = make_service(store=store, secret_key=FORMER)
    former.config.set(SMTP, SECRET, actor="ann")
    both = make_service(store=store, secret_key=f"{NEWEST},{FORMER}")
    put, others = store.items.put, ["smtps://newer.shop.example"]

    def late(*arguments: Any, **named: Any) -> bool:
        if others and named.get("expected"):
            value = others.pop()
            former.config.set(SMTP, value, actor="bob")
        return put(*arguments, **named)

    monkeypatch.setattr(store.items, "put", late)
    rotation = both.config.rotate(actor="ann")

    assert rotation.encrypted_anew == (SMTP,)
    newest = make_service(store=store, secret_key=NEWEST)
    assert newest.config.current().smtp_url == "smtps://newer.shop.example"


def test_rotation_leaves_what_it_cannot_read_and_does_the_rest(
    keyed: EnhancedMaintenanceModeService, make_service: MakeService
) -> None:
    """One secret whose key is lost must not keep the others under a key that leaked."""
    fill(keyed, "bob")
    newest = make_service(store=keyed.store, secret_key=NEWEST)
    newest.config.set(SMTP, SECRET, actor="ann")

    rotation = newest.config.rotate(actor="ann")

    assert (rotation.up_to_date, rotation.unreadable) == ((SMTP,), (WEBHOOK, "operator bob"))
    assert keyed.operators.find("bob") is not None
    with pytest.raises(SettingsError, match="MAINTENANCE_SECRET_KEY: is not set"):
        make_service(store=keyed.store).config.rotate(actor="ann")
