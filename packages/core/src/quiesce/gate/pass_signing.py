"""Signs bypass passes; what is handed out is ``ID.SIGNATURE``, which says nothing of whose it is."""

from __future__ import annotations

import hashlib

from itsdangerous import Signer

# The salt keeps apart what the same key may sign elsewhere.
_SALT = b"quiesce.bypass-pass"


class PassSigner:
    """Signs ids of passes with HMAC-SHA256, by a key that is derived from ``MAINTENANCE_SECRET_KEY``."""

    def __init__(self, secret_key: str) -> None:
        self._signer = Signer(secret_key, salt=_SALT, key_derivation="hmac", digest_method=hashlib.sha256)

    def sign(self, pass_id: str) -> str:
        """Return the one text for this id: printable ASCII that needs no escaping in headers and addresses."""
        return self._signer.sign(pass_id).decode("ascii")
