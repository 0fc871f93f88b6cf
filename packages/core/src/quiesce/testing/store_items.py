"""The store's contract: collections of items beside the state."""
# ruff: noqa: S101 - a contract is made of assertions

from __future__ import annotations

import contextlib
import threading

import pytest

from ..model import InvalidValueError
from ..stores.base import Store
from ..stores.items import LARGEST_ITEM, MOST_CHANGES
from .store_samples import Reopen

_FRESH_SECONDS = 5.0


class ItemContract:
    """What is put is there whole, in the order in which it was put; a change happens whole, or not at all."""

    def test_what_was_put_is_there_for_others(self, store: Store, reopen: Reopen) -> None:
        """A ledger is read by another process than the one that wrote it."""
        body = bytes(range(256))

        assert store.items.put("ledger", {"a ☂ key": body, "b": b""})

        with contextlib.closing(reopen()) as other:
            assert other.items.get("ledger", ["a ☂ key", "b", "c"]) == {"a ☂ key": body, "b": b""}
            assert other.items.get("ledger", []) == {}

    def test_nothing_is_in_an_unknown_collection(self, store: Store) -> None:
        """A collection is made by its first item."""
        assert store.items.get("ledger", ["a"]) == {}
        assert store.items.newest("ledger") == ()
        assert store.items.count("ledger") == 0

    def test_collections_are_apart(self, store: Store) -> None:
        """One key may stand in several."""
        store.items.put("ledger", {"a": b"1"})
        store.items.put("reports", {"a": b"2"})

        store.items.put("ledger", {"a": None})

        assert store.items.get("reports", ["a"]) == {"a": b"2"}

    def test_the_newest_come_first(self, store: Store) -> None:
        """What was put again counts from then; in one call, the order of the call."""
        store.items.put("ledger", {"a": b"1", "b": b"2"})
        store.items.put("ledger", {"c": b"3"})
        store.items.put("ledger", {"a": b"4"})

        assert [(item.key, item.body) for item in store.items.newest("ledger")] == [
            ("a", b"4"),
            ("c", b"3"),
            ("b", b"2"),
        ]
        assert [item.key for item in store.items.newest("ledger", limit=1, skip=1)] == ["c"]
        assert store.items.newest("ledger", limit=0) == ()

    def test_ages_count_from_the_last_put(self, store: Store) -> None:
        """Who was active within a few minutes is told by them."""
        store.items.put("ledger", {"a": b"1"})

        (item,) = store.items.newest("ledger", within_seconds=_FRESH_SECONDS)
        assert 0 <= item.age < _FRESH_SECONDS
        assert store.items.count("ledger", within_seconds=_FRESH_SECONDS) == 1
        assert store.items.count("ledger", within_seconds=-_FRESH_SECONDS) == 0
        assert store.items.newest("ledger", within_seconds=-_FRESH_SECONDS) == ()

    def test_what_is_not_as_expected_changes_nothing(self, store: Store) -> None:
        """Two that claim one delivery must not both have it."""
        store.items.put("claims", {"a": b"1"})

        assert not store.items.put("claims", {"a": b"2", "b": b"2"}, expected={"a": b"0"})
        assert not store.items.put("claims", {"b": b"2"}, expected={"a": None})
        assert not store.items.put("claims", {"b": b"2"}, expected={"c": b""})
        assert store.items.get("claims", ["a", "b"]) == {"a": b"1"}

        assert store.items.put("claims", {"a": None, "b": b"2"}, expected={"a": b"1", "b": None})
        assert store.items.get("claims", ["a", "b"]) == {"b": b"2"}

    def test_one_of_many_that_claim_at_once_has_it(self, store: Store) -> None:
        """Compare and set is worth nothing if it is two steps."""
        start, won = threading.Barrier(4), []

        def claim(name: str) -> None:
            start.wait()
            for number in range(20):
                has_won = store.items.put("claims", {str(number): name.encode()}, expected={str(number): None})
                won.extend([number] * has_won)

        threads = [threading.Thread(target=claim, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(won) == list(range(20))

    def test_a_full_collection_drops_what_was_put_longest_ago(self, store: Store) -> None:
        """An index of what clients do must not grow without end."""
        store.items.put("index", {"a": b"1", "b": b"2"})
        store.items.put("index", {"a": b"3"})

        store.items.put("index", {"c": b"4"}, keep=2, durable=False)

        assert [item.key for item in store.items.newest("index")] == ["c", "a"]
        assert store.items.count("index") == 2

    def test_what_cannot_be_kept_is_refused(self, store: Store) -> None:
        """A key that one store takes and another mangles would be lost on a move."""
        for key in ("", "a\x00b", "x" * 401, "\udcff"):
            with pytest.raises(InvalidValueError, match="key"):
                store.items.put("ledger", {"good": b"", key: b""})
        with pytest.raises(InvalidValueError, match="body"):
            store.items.put("ledger", {"good": b"", "large": b"x" * (LARGEST_ITEM + 1)})
        with pytest.raises(InvalidValueError, match="changes"):
            store.items.put("ledger", {str(number): b"" for number in range(MOST_CHANGES + 1)})
        with pytest.raises(InvalidValueError, match="collection"):
            store.items.put("no name", {"good": b""})

        assert store.items.count("ledger") == 0

    def test_as_many_as_allowed_can_be_put_at_once(self, store: Store) -> None:
        """The limit that is named is the one that holds."""
        assert store.items.put("ledger", {str(number): b"x" for number in range(MOST_CHANGES)})

        assert store.items.count("ledger") == MOST_CHANGES
        assert len(store.items.newest("ledger", limit=MOST_CHANGES)) == MOST_CHANGES
