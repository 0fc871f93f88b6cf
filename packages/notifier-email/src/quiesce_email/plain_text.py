"""Makes words of operators, programs and tickets fit for one line of a message."""

from __future__ import annotations

import unicodedata

LONGEST = 1000
_BREAKS = {"Cc", "Cs", "Zl", "Zp", "Zs", "Cn", "Co"}
_HIDDEN = {"Cf"}
_JOINERS = {"\u200c", "\u200d"}  # Persian words and many emoji need them


def one_line(text: str, *, longest: int = LONGEST) -> str:
    """Return the text without line breaks, control characters and characters that turn or hide what is beside them."""
    line = " ".join("".join(map(_kept, text)).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def header_text(text: str, *, longest: int) -> str:
    """Return one line that is taken for nothing but itself in a header.

    Python decodes what looks like an encoded word (RFC 2047) when a header is set, and older versions then write the
    line breaks in it as they are: headers of a stranger's choice.
    """
    return one_line(text, longest=longest).replace("=?", "= ?")


def _kept(character: str) -> str:
    kind = unicodedata.category(character)
    if kind in _BREAKS:
        return " "
    return "" if kind in _HIDDEN and character not in _JOINERS else character
