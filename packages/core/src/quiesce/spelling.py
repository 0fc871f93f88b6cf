"""Which known word a misspelled one may stand for."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the known word that is most like this one, or ``None`` when none is like it.

    Args:
        word: as somebody wrote it.
        known: what it may stand for.
        cutoff: how alike they must be; 1 is the same.
    """
    import difflib  # noqa: PLC0415 - a tenth of a megabyte, which only a mistake is worth

    near = difflib.get_close_matches(word, known, n=1, cutoff=cutoff)
    return near[0] if near else None
