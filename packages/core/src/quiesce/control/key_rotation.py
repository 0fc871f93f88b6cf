"""Encrypts what the store keeps secret by the newest key, one item at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator

from ..model import KeyRotation, SettingsError, StoreUnreachableError
from ..settings import Settings
from ..stores.items import Items
from .operators import COLLECTION as OPERATORS
from .operators import MOST_OPERATORS
from .secrets import SecretBox, secret_box
from .stored_settings import COLLECTION as SETTINGS

_KINDS = {OPERATORS: "operator", SETTINGS: "setting"}
"""By collection: what the ciphertexts in it are sealed under, before the name."""
_TRIES = 20
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


def renew_secrets(items: Items, *, settings: Settings, begin: Callable[[], None]) -> KeyRotation:
    """Encrypt each secret by the newest key, unless it is already; what is written meanwhile is never overwritten.

    Args:
        items: of the store.
        settings: with the keys.
        begin: called before the first change.

    Raises:
        SettingsError: there is no key.
        MissingExtraError: the package ``cryptography`` is not installed.
        StoreError: the store does not answer; those before are done, and the next call does the rest.
    """
    box = secret_box(settings)
    begin()
    became: dict[str, list[str]] = {"anew": [], "current": [], "unreadable": []}
    for collection, kind in _KINDS.items():
        for key in _keys(items, collection):
            name, end = _renew(items, collection, key, kind=kind, box=box)
            if end:
                became[end].append(name if kind == "setting" else f"{kind} {name}")
    anew, current, unreadable = (tuple(sorted(names)) for names in became.values())
    return KeyRotation(encrypted_anew=anew, up_to_date=current, unreadable=unreadable)


def _keys(items: Items, collection: str) -> Iterator[str]:
    # One page: a second one would miss what moves up when something is removed in between.
    yield from sorted(item.key for item in items.newest(collection, limit=2 * MOST_OPERATORS))


def _renew(items: Items, collection: str, key: str, *, kind: str, box: SecretBox) -> tuple[str, str]:
    """Return the name of what was looked at, and what became of it; nothing, if it holds no secret any more."""
    for _ in range(_TRIES):
        body = items.get(collection, [key]).get(key)
        if body is None:
            return key, ""
        try:
            members = json.loads(body)
            name, sealed = str(members["name"]), members.get("secret")
        except _UNREADABLE:
            return key, "unreadable"
        if sealed is None:
            return name, ""
        try:
            renewed = box.renewed(str(sealed), of=f"{kind}:{name}")
        except SettingsError:
            return name, "unreadable"
        if renewed is None:
            return name, "current"
        written = json.dumps({**members, "secret": renewed, "turn": os.urandom(8).hex()}, separators=(",", ":"))
        if items.put(collection, {key: written.encode("ascii")}, expected={key: body}):
            return name, "anew"
    raise StoreUnreachableError(f"{kind} {key:.80} changes too fast to be written")
