"""Encrypts the few secrets that the store keeps, by keys that are derived from ``MAINTENANCE_SECRET_KEY``.

Each secret has a key of its own (HKDF, RFC 5869) that depends on what it is of: a ciphertext that is moved to another
place in the store opens nothing there, and no key is the one that signs passes.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..model import MissingExtraError, SettingsError

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

    from ..settings import Settings

_PURPOSE = b"quiesce.secrets\x00"
_SETTING = "MAINTENANCE_SECRET_KEY"


class SecretBox:
    """Seals texts and opens them again.

    Args:
        keys: the newest first; it seals, and all of them open.

    Raises:
        MissingExtraError: the package ``cryptography`` is not installed.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        try:
            from cryptography import fernet  # noqa: PLC0415 - an extra, and 20 ms that few commands pay
        except ModuleNotFoundError as exc:
            if (exc.name or "").partition(".")[0] != "cryptography":
                raise
            raise MissingExtraError("encrypting secrets", extra="totp", package="cryptography") from exc
        self._fernet = fernet
        self._keys = tuple(keys)

    def seal(self, secret: str, *, of: str) -> str:
        """Return the ciphertext, as ASCII text.

        Args:
            secret: what nobody is to read in the store.
            of: whose or what it is, e.g. ``operator:ann``; it opens under the same name only.
        """
        return self._derived(of).encrypt(secret.encode("utf-8", "surrogatepass")).decode("ascii")

    def open(self, sealed: str, *, of: str) -> str:
        """Return the secret.

        Raises:
            SettingsError: none of the keys opens it, or it was sealed under another name or tampered with.
        """
        try:
            return self._derived(of).decrypt(sealed.encode("utf-8", "replace")).decode("utf-8", "surrogatepass")
        except self._fernet.InvalidToken as exc:
            fault = (
                f"{_SETTING}: does not open the secret of {of!r:.120}, which was encrypted by another key or changed"
                " since; put the former key behind the new one and a comma, or set the secret anew"
            )
            raise SettingsError([fault]) from exc

    def renewed(self, sealed: str, *, of: str) -> str | None:
        """Return the ciphertext by the newest key; ``None``: it is by that one already.

        Raises:
            SettingsError: as ``open`` does.
        """
        try:
            SecretBox(self._keys[:1]).open(sealed, of=of)
        except SettingsError:
            return self.seal(self.open(sealed, of=of), of=of)
        return None

    def _derived(self, of: str) -> MultiFernet:
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - see above
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415 - see above

        info = _PURPOSE + of.encode("utf-8", "surrogatepass")
        derived = (HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(key.encode()) for key in self._keys)
        return self._fernet.MultiFernet([self._fernet.Fernet(base64.urlsafe_b64encode(key)) for key in derived])


def secret_box(settings: Settings) -> SecretBox:
    """Return the box of a service.

    Raises:
        SettingsError: ``MAINTENANCE_SECRET_KEY`` is not set.
        MissingExtraError: the package ``cryptography`` is not installed.
    """
    if not settings.secret_keys:
        raise SettingsError([f"{_SETTING}: is not set; it encrypts what is kept secret, and there is no default"])
    return SecretBox(settings.secret_keys)
