"""The second proof that opening or planning an emergency over HTTP needs; the command line asks for none."""

from __future__ import annotations

import math

from ..control import EnhancedMaintenanceModeService
from ..control.validation import check_mode
from ..model import MissingExtraError, Mode, ProofKind, ProofOutcome, ProofVerdict, QuiesceError, SettingsError
from .exchange import ApiResponse, problem
from .routing import Call
from .security import TOKEN_ACTOR

PROOF_FIELD = "proof"
PROOF_HEADER = "X-Maintenance-Proof"
"""Where a proof may stand; in a body that has the field, the field counts."""

_ASKED = {
    ProofKind.CODE: "the code that your authenticator shows",
    ProofKind.TOKEN: "the token of MAINTENANCE_ADMIN_TOKEN",
}


class SecondProofError(QuiesceError):
    """Raised when the second proof of a request was not accepted; carries the response that says why."""

    def __init__(self, response: ApiResponse) -> None:
        super().__init__("the second proof was not accepted")
        self.response = response


def is_emergency(mode: Mode | str) -> bool:
    """Whether a window of this mode needs the proof; raises ``InvalidValueError`` for what is no mode."""
    return check_mode(mode) is Mode.EMERGENCY


def require_second_proof(service: EnhancedMaintenanceModeService, call: Call, *, given: str | None) -> None:
    """Return if the caller has proved a second time who they are; an accepted code is used up by that.

    Args:
        service: whose operators and token count.
        call: what the endpoint was given.
        given: the field ``proof`` of its body; ``None``: the header is looked at.

    Raises:
        SecondProofError: the proof is missing, wrong, or cannot be checked; the API answers with its response.
        StoreError: the store does not answer.
    """
    request = call.request
    principal = request.principal
    # Who commands by the admin token has no principal to be trusted, whatever else the request carries.
    user_id = principal.user_id if principal is not None and call.actor != TOKEN_ACTOR else None
    proof = given if given is not None else request.headers.get(PROOF_HEADER.lower())
    try:
        verdict = service.second_proof.judge(proof, actor=call.actor, user_id=user_id, source=call.source)
    except (SettingsError, MissingExtraError) as exc:
        detail = f"An emergency cannot be opened over HTTP here: {exc}"
        raise SecondProofError(problem(503, "Second proof cannot be checked", detail)) from exc
    if verdict.outcome is not ProofOutcome.ACCEPTED:
        raise SecondProofError(_refusal(verdict))


def _refusal(verdict: ProofVerdict) -> ApiResponse:
    asked, kind = _ASKED[verdict.kind], str(verdict.kind)
    match verdict.outcome:
        case ProofOutcome.MISSING:
            detail = f"An emergency needs a second proof: {asked}, as the field '{PROOF_FIELD}' or in {PROOF_HEADER}."
            return problem(401, "Second proof needed", detail, proof=kind)
        case ProofOutcome.IMPOSSIBLE:
            detail = (
                "An emergency needs a second proof, and there is none that you could give: enrol yourself with"
                " 'quiesce operator enroll', or have MAINTENANCE_ADMIN_TOKEN set. The command line needs none."
            )
            return problem(403, "Second proof impossible", detail)
        case ProofOutcome.SILENCED:
            seconds = max(1, math.ceil(verdict.retry_after_seconds))
            detail = f"Too many wrong proofs: none is looked at for {seconds} seconds. The command line needs none."
            answer = problem(429, "Too many tries", detail, proof=kind)
            return ApiResponse(answer.status, (*answer.headers, ("retry-after", str(seconds))), answer.body)
    detail = f"This is not {asked}, or the code was used already. Wrong proofs before a silence: {verdict.tries_left}."
    return problem(403, "Second proof wrong", detail, proof=kind, tries_left=verdict.tries_left)
