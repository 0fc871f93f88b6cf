"""The store's contract: states, revisions and the audit trail."""
# ruff: noqa: S101 - a contract is made of assertions

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from typing import Any

from ..model import AuditHead, InvalidValueError, MaintenanceState, RevisionConflictError, stamped
from ..stores.base import Store
from .store_samples import HOSTILE, Reopen, a_pass, a_record, a_schedule, a_window, an_event, beat, commit, expects

_COMMITS_EACH = 50


class CommitContract:
    """Commits are compare-and-set, all or nothing, and keep every value."""

    def test_an_empty_store_is_at_revision_0(self, store: Store) -> None:
        """A new installation is open, and its first commit expects 0."""
        assert store.revision() == 0
        assert store.load() == MaintenanceState()
        assert store.audit() == ()
        assert store.counts() == {}
        assert store.workers() == ()

    def test_a_commit_is_what_others_load(self, store: Store, reopen: Reopen) -> None:
        """What one process decides, every other one must apply, to the last field."""
        plain = replace(a_window(), id="w2", operations=None, ends_at=None, lease=None, schedule_id=None, ended_at=None)
        schedules = (a_schedule(), replace(a_schedule(), operations=None))
        state = MaintenanceState(
            1, (a_window(), plain), schedules, passes=(a_pass(), replace(a_pass(), window_id=None))
        )

        store.commit(state, expected_revision=0, audit=[a_record(1)])

        with contextlib.closing(reopen()) as other:
            assert other.load() == state
            assert other.revision() == 1
            assert other.audit() == (a_record(1),)

    def test_a_commit_on_another_revision_changes_nothing(self, store: Store) -> None:
        """Two operators at once: the second must not undo what it has not seen, nor leave a trace of having done so."""
        commit(store, 1)

        with expects(RevisionConflictError) as caught:
            store.commit(MaintenanceState(2, (a_window(),)), expected_revision=0, audit=[a_record(2)])

        conflict = caught[0]
        assert isinstance(conflict, RevisionConflictError)
        assert (conflict.expected, conflict.found) == (0, 1)
        assert store.load() == MaintenanceState(1)
        assert store.audit() == (a_record(1),)

    def test_a_commit_ahead_of_the_store_is_a_conflict_too(self, store: Store) -> None:
        """A store that lost its contents is mended on purpose, never by chance."""
        with expects(RevisionConflictError):
            store.commit(MaintenanceState(9), expected_revision=8, audit=[])

        assert store.revision() == 0

    def test_a_reseeding_commit_may_skip_revisions(self, store: Store) -> None:
        """A flushed store is brought back to where the replicas are."""
        store.commit(MaintenanceState(42, (a_window(),)), expected_revision=0, audit=[a_record(42)])

        assert store.load() == MaintenanceState(42, (a_window(),))
        assert store.revision() == 42

    def test_a_revision_that_does_not_grow_is_refused(self, store: Store) -> None:
        """Replicas drop what is not newer, so such a change would never be applied."""
        commit(store, 1)

        with expects(InvalidValueError):
            store.commit(MaintenanceState(1), expected_revision=1, audit=[a_record(1)])

        assert store.audit() == (a_record(1),)

    def test_a_commit_that_does_not_contain_what_is_there_changes_nothing(self, store: Store) -> None:
        """Between a look and the commit the store was lost and begun anew, and is at the very same revision again."""
        first = stamped(MaintenanceState(1, (a_window(),)), MaintenanceState(), unique="first")
        other = stamped(MaintenanceState(1), MaintenanceState(), unique="other")
        store.commit(other, expected_revision=0, audit=[])

        with expects(RevisionConflictError):
            store.commit(stamped(MaintenanceState(2), first, unique="x"), expected_revision=1, audit=[a_record(2)])

        assert store.load() == other
        assert store.audit() == ()
        follower = stamped(MaintenanceState(2), other, unique="follower")
        store.commit(follower, expected_revision=1, audit=[])
        assert store.load() == follower

    def test_a_report_is_answered_with_the_commit(self, store: Store) -> None:
        """By the revision alone a worker would not notice that the store has begun anew."""
        state = stamped(MaintenanceState(1), MaintenanceState(), unique="abc")
        assert beat(store, "a", lease_seconds=0).commit_id == ""

        store.commit(state, expected_revision=0, audit=[])

        for asks in (False, True):
            heard = beat(store, "a", lease_seconds=0, asks_for_silent=asks)
            assert (heard.revision, heard.commit_id) == (1, state.commit_id)

    def test_of_racing_commits_exactly_one_wins_each_revision(self, store: Store, reopen: Reopen) -> None:
        """Compare-and-set is what all else stands on: no change lost, no audit record lost or doubled."""
        wins: tuple[list[int], list[int]] = ([], [])
        start = threading.Barrier(2)
        handles = (store, reopen())

        def race(number: int) -> None:
            start.wait()
            while len(wins[number]) < _COMMITS_EACH:
                revision = handles[number].revision() + 1
                with contextlib.suppress(RevisionConflictError):
                    commit(handles[number], revision, detail=f"racer {number}")
                    wins[number].append(revision)

        threads = [threading.Thread(target=race, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        total = 2 * _COMMITS_EACH
        assert sorted([*wins[0], *wins[1]]) == list(range(1, total + 1))
        trail = store.audit(limit=2 * total)
        assert [record.revision for record in trail] == list(range(1, total + 1))
        assert all(record.revision in wins[int(record.detail[-1])] for record in trail)
        handles[1].close()

    def test_the_audit_trail_is_in_order_and_cut_at_its_old_end(self, store: Store) -> None:
        """An operator who asks for the last few records gets the last few, in the order in which they happened."""
        for revision in range(1, 6):
            records = [a_record(revision, "first"), a_record(revision, "second")]
            store.commit(MaintenanceState(revision), expected_revision=revision - 1, audit=records)

        trail = [(record.revision, record.detail) for record in store.audit(limit=3)]

        assert trail == [(4, "second"), (5, "first"), (5, "second")]
        assert len(store.audit()) == 10
        assert store.audit(limit=0) == ()

    def test_the_trail_of_one_window_is_whole_and_in_order(self, store: Store, reopen: Reopen) -> None:
        """A report on an incident months ago must miss nothing, and take nothing of another for it."""
        named = '"window_id":"w2"'
        others = [replace(a_record(1, named), window_id=id_) for id_ in (None, "w", "w22", "w1", 'w2"', named)] * 400
        wanted = [replace(a_record(1, str(number)), window_id="w2") for number in range(1_100)]
        mixed = [*others[:1_000], *wanted[:50], *others[1_000:], *wanted[50:]]
        for revision, start in enumerate(range(0, len(mixed), 500), start=1):
            audit = mixed[start : start + 500]
            store.commit(MaintenanceState(revision), expected_revision=revision - 1, audit=audit)

        with contextlib.closing(reopen()) as other:
            assert list(other.audit_of("w2")) == wanted
            assert len(list(other.audit_of(named))) == 400
            assert list(other.audit_of("w3")) == []
            assert list(other.audit_of("\ud800")) == []

    def test_the_whole_trail_is_read_and_its_old_end_dropped(self, store: Store, reopen: Reopen) -> None:
        """What is verified must be all there is, and what is kept for years must be able to go."""
        outside = [a_record(1, "outside")] * 1_200
        chained = [replace(a_record(1), number=number, hash=f"sha256:{number}") for number in range(1, 1_301)]
        store.commit(MaintenanceState(1), expected_revision=0, audit=[*outside, *chained[:600]])
        store.commit(MaintenanceState(2), expected_revision=1, audit=chained[600:])

        with contextlib.closing(reopen()) as other:
            assert list(other.audit_trail()) == [*outside, *chained]
            assert other.drop_audit(through=1_290) == 1_200 + 1_290
            assert other.drop_audit(through=1_290) == 0
            assert list(store.audit_trail()) == chained[1_290:]
            assert store.load() == MaintenanceState(2)

    def test_a_record_comes_back_to_the_last_field(self, store: Store, reopen: Reopen) -> None:
        """Its hash is over all of them."""
        facts: dict[str, Any] = {
            name: f"{name} {HOSTILE[:50]}" for name in ("result", "origin", "before", "after", "begins", "hash")
        }
        record = replace(a_record(1, HOSTILE), number=7, window_id=None, **facts)
        state = replace(MaintenanceState(1), audit=AuditHead(7, "sha256:ab", 6, "sha256:cd"))
        store.commit(state, expected_revision=0, audit=[record])

        with contextlib.closing(reopen()) as other:
            assert list(other.audit_trail()) == [record]
            assert other.load() == state

    def test_events_come_with_their_commit_and_in_order(self, store: Store, reopen: Reopen) -> None:
        """Who delivers notices must find each once, in the order in which it happened."""
        for revision in (1, 2, 10):
            happened = [an_event(revision, 0), an_event(revision, 1, reason=HOSTILE)]
            store.commit(MaintenanceState(revision), expected_revision=store.revision(), audit=[], events=happened)

        with contextlib.closing(reopen()) as other:
            assert [event.id for event in other.events()] == ["1-0", "1-1", "2-0", "2-1", "10-0", "10-1"]
            assert other.events(after="2-0", limit=2) == (an_event(2, 1, reason=HOSTILE), an_event(10, 0))
            assert other.events(after="10-1") == ()
            assert other.events(limit=0) == ()

    def test_events_of_a_lost_race_are_not_there(self, store: Store) -> None:
        """People must not be told of what did not happen."""
        commit(store, 1)

        with expects(RevisionConflictError):
            store.commit(MaintenanceState(2), expected_revision=0, audit=[], events=[an_event(2)])

        assert store.events() == ()

    def test_events_of_another_revision_are_refused(self, store: Store) -> None:
        """An event's id is its place; one with a foreign id could stand before what has been delivered."""
        for wrong in (an_event(7), an_event(1, 1)):
            with expects(InvalidValueError):
                store.commit(MaintenanceState(1), expected_revision=0, audit=[], events=[wrong])

        assert store.revision() == 0
        with expects(InvalidValueError):
            store.events(after="yesterday")

    def test_renewals_of_a_lease_are_counted_beside_the_state(self, store: Store, reopen: Reopen) -> None:
        """Whether a holder lives is asked every second; it must not cost every worker a revision."""
        with contextlib.closing(reopen()) as other:
            store.renew_lease("w1")
            other.renew_lease("w1")
            store.renew_lease("w2")

            assert other.lease_renewals() == {"w1": 2, "w2": 1}
            store.drop_lease("w1")
            store.drop_lease("ghost")
            assert other.lease_renewals() == {"w2": 1}
            assert store.revision() == 0

    def test_any_text_comes_back_as_it_was(self, store: Store, reopen: Reopen) -> None:
        """A reason is whatever somebody typed; a store that chokes on it could not be ended again."""
        state = MaintenanceState(1, (a_window(HOSTILE),))

        store.commit(state, expected_revision=0, audit=[a_record(1, HOSTILE)])

        with contextlib.closing(reopen()) as other:
            assert other.load() == state
            assert other.audit() == (a_record(1, HOSTILE),)
