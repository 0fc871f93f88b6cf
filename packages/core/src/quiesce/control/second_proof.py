"""Judges the second proof that an emergency needs over HTTP: which is asked for, whether it is right, how often."""

from __future__ import annotations

import hmac
from dataclasses import replace
from datetime import datetime

from ..model import MaintenanceState, ProofKind, ProofOutcome, ProofVerdict
from .journal import Journal
from .operators import KeptOperator, OperatorDesk
from .proof_throttle import MOST_TRIES, SILENCE_SECONDS, ProofThrottle
from .runtime import Runtime
from .writing import CommandWriter


class SecondProof:
    """Judges proofs for one service; reached as ``service.second_proof``."""

    def __init__(self, runtime: Runtime, *, writer: CommandWriter) -> None:
        self._runtime = runtime
        self._writer = writer
        self._operators = OperatorDesk(runtime, writer=writer)
        self._throttle = ProofThrottle(runtime.store.items)

    def judge(self, given: str | None, *, actor: str, user_id: str | None, source: str) -> ProofVerdict:
        """Return what is said of a proof; a code that is accepted is used up, and a wrong proof is audited.

        Args:
            given: the proof; ``None`` or empty: none was given.
            actor: who asks, for the audit trail; each has tries of their own.
            user_id: whose authenticator counts; ``None``: who holds the admin token, which is asked for again.
            source: through what.

        Raises:
            StoreError: the store does not answer; nothing was accepted then.
            SettingsError: the key by which the operator's secret was encrypted is missing, or another.
            MissingExtraError: the extra ``totp`` is not installed here.
        """
        operator = None if user_id is None else self._operators.find(user_id)
        kind = ProofKind.TOKEN if operator is None else ProofKind.CODE
        if operator is None and self._runtime.settings.admin_token is None:
            return ProofVerdict(outcome=ProofOutcome.IMPOSSIBLE, kind=kind)
        if not given:
            silent = self._throttle.silent_seconds(actor)
            outcome = ProofOutcome.SILENCED if silent else ProofOutcome.MISSING
            return ProofVerdict(outcome=outcome, kind=kind, retry_after_seconds=silent)
        claim = self._throttle.claim(actor)
        if claim.silent_seconds:
            self._throttle.note_turned_away(actor)
            return ProofVerdict(outcome=ProofOutcome.SILENCED, kind=kind, retry_after_seconds=claim.silent_seconds)
        is_right = self._is_right(given, operator)
        if is_right:
            self._throttle.forgive(actor)
        if claim.turned_away or not is_right:
            self._audit(kind, actor=actor, source=source, wrong=0 if is_right else claim.number, away=claim.turned_away)
        if is_right:
            return ProofVerdict(outcome=ProofOutcome.ACCEPTED, kind=kind)
        return ProofVerdict(outcome=ProofOutcome.WRONG, kind=kind, tries_left=MOST_TRIES - claim.number)

    def _is_right(self, given: str, operator: KeptOperator | None) -> bool:
        if operator is not None:
            return self._operators.accept(operator, given)
        token = self._runtime.settings.admin_token or ""
        return bool(token) and hmac.compare_digest(given.encode("utf-8", "replace"), token.encode("utf-8"))

    def _audit(self, kind: ProofKind, *, actor: str, source: str, wrong: int, away: int) -> None:
        """Write what there is to say of this try, in one commit; of those turned away only how many there were."""

        def change(state: MaintenanceState, _: datetime, journal: Journal) -> MaintenanceState:
            if away:
                journal.note("proof.silence_over", detail=f"{away} tries were turned away in it")
            if wrong:
                journal.note(
                    "proof.wrong", detail=f"a wrong {kind}, number {wrong} of {MOST_TRIES} in a row", result="refused"
                )
            if wrong >= MOST_TRIES:
                journal.note("proof.silenced", detail=f"for {SILENCE_SECONDS / 60:g} minutes", result="refused")
            return replace(state)

        self._writer.commit(change, actor=actor[:200], source=source)
