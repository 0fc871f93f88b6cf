"""Signs bypass passes; what is handed out is ``ID.SIGNATURE``, which says nothing of whose it is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from itsdangerous import Signer

# The salt keeps apart what the same key may sign elsewhere.
_SALT = b"quiesce.bypass-pass"


class PassSigner:
    """Signs ids of passes with HMAC-SHA256, by a key that is derived from ``MAINTENANCE_SECRET_KEY``.

    Args:
        keys: the one that signs first, then former ones.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._signers = [Signer(key, salt=_SALT, key_derivation="hmac", digest_method=hashlib.sha256) for key in keys]

    def sign(self, pass_id: str) -> str:
        """Return the text that is handed out: printable ASCII that needs no escaping in headers and addresses."""
        return self.genuine(pass_id)[0]

    def genuine(self, pass_id: str) -> tuple[str, ...]:
        """Return the one text for this id by each key."""
        return tuple(signer.sign(pass_id).decode("ascii") for signer in self._signers)
