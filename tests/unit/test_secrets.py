"""Secrets at rest: sealed under a key and a name, opened by that key and under that name alone."""

from __future__ import annotations

import sys

import pytest

from quiesce.control.secrets import SecretBox, secret_box
from quiesce.model import MissingExtraError, SettingsError
from quiesce.settings import Settings

OLD, NEW = "the-former-key-of-the-tests", "the-newest-key-of-the-tests"


def test_what_is_sealed_opens_again_and_shows_nothing() -> None:
    """A copy of the store is no copy of the secrets."""
    box = SecretBox([OLD])

    sealed = box.seal("JBSWY3DPEHPK3PXP ☂", of="operator:ann")

    assert "JBSWY3DP" not in sealed
    assert sealed != box.seal("JBSWY3DPEHPK3PXP ☂", of="operator:ann")
    assert SecretBox([OLD]).open(sealed, of="operator:ann") == "JBSWY3DPEHPK3PXP ☂"


def test_a_new_key_goes_before_the_former_one() -> None:
    """Keys are changed without enrolling everybody anew, and what is sealed from then on needs the new one only."""
    sealed = SecretBox([OLD]).seal("s", of="x")

    both = SecretBox([NEW, OLD])

    assert both.open(sealed, of="x") == "s"
    assert SecretBox([NEW]).open(both.seal("s", of="x"), of="x") == "s"


@pytest.mark.parametrize(
    ("keys", "of", "change"),
    [([NEW], "x", ""), ([OLD], "y", ""), ([OLD], "x", "A"), ([OLD], "x", "\u2602"), ([NEW], "x", "\ud800")],
)
def test_another_key_another_name_or_a_changed_text_opens_nothing(keys: list[str], of: str, change: str) -> None:
    """The error names the setting: with a wrong key nothing else would help."""
    sealed = SecretBox([OLD]).seal("s", of="x")
    change = "B" if change == "A" == sealed[40] else change

    with pytest.raises(SettingsError, match="MAINTENANCE_SECRET_KEY: does not open the secret of"):
        SecretBox(keys).open(sealed[:40] + change + sealed[40 + len(change) :] if change else sealed, of=of)


def test_without_a_key_nothing_is_sealed() -> None:
    """A default key would be no secret."""
    with pytest.raises(SettingsError, match="MAINTENANCE_SECRET_KEY: is not set"):
        secret_box(Settings(store_url="memory://"))


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator reads it in a hurry."""
    monkeypatch.setitem(sys.modules, "cryptography", None)

    with pytest.raises(MissingExtraError, match=r"pip install 'quiesce\[totp\]'"):
        SecretBox([OLD])


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        (OLD, (OLD,)),
        (f"{NEW},{OLD}", (NEW, OLD)),
        ("with,commas,that-part-nothing", ("with,commas,that-part-nothing",)),
        (f"{OLD},", (f"{OLD},",)),
    ],
)
def test_a_comma_parts_keys_only_where_each_is_long_enough(given: str, keys: tuple[str, ...]) -> None:
    """A key that happens to hold a comma goes on as the one key that it was."""
    assert Settings(store_url="memory://", secret_key=given).secret_keys == keys
