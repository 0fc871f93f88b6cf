"""Templates of messages: the operator's own where there are some, else, and if those are broken, the built-in ones."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import StrEnum
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from quiesce import EventKind

from .readers import Readers
from .wording import Words

LARGEST_BYTES = 100_000

_log = logging.getLogger("quiesce")


class Part(StrEnum):
    """What a template makes; the ending of its file."""

    SUBJECT = "subject"
    TEXT = "txt"
    HTML = "html"


class _UnusableError(Exception):
    """Raised when an operator's template cannot be used; says why."""


def render(part: Part, words: Words, *, readers: Readers, kind: EventKind, folder: str | None) -> str:
    """Return one part of a message.

    In HTML every value is escaped, so no reason or name can become markup.

    Args:
        part: which.
        words: what it says.
        readers: for whom.
        kind: of the event; ``users-started.txt`` goes before ``users.txt``.
        folder: of the operator's templates, if any.
    """
    values = _values(words, part=part)
    if folder is not None:
        for name in (f"{readers}-{kind}.{part}", f"{readers}.{part}"):
            try:
                text = _own(Path(folder), name, values=values)
            except _UnusableError as exc:
                _log.warning("[MAINTENANCE] E-mail template not used: template=%r problem=%r", name, str(exc))
                continue
            if text is not None:
                return text
    built_in = files(__package__).joinpath("built_in", f"{readers}.{part}").read_text(encoding="utf-8")
    return Template(built_in).substitute(values)


def _own(folder: Path, name: str, *, values: Mapping[str, str]) -> str | None:
    path = folder / name
    try:
        if not folder.is_dir():
            raise _UnusableError("MAINTENANCE_EMAIL_TEMPLATES is no folder")
        if not path.exists():
            return None
        if not path.is_file() or path.stat().st_size > LARGEST_BYTES:
            raise _UnusableError(f"is no file of at most {LARGEST_BYTES} bytes")
        text = Template(path.read_text(encoding="utf-8")).substitute(values)
    except KeyError as exc:
        raise _UnusableError(f"there is no ${exc.args[0]} for these readers") from exc
    except (OSError, ValueError) as exc:
        raise _UnusableError(f"{type(exc).__name__}: {exc}"[:200]) from exc
    if not text.strip():
        raise _UnusableError("is empty")
    return text


def _values(words: Words, *, part: Part) -> dict[str, str]:
    if part is not Part.HTML:
        width = max((len(label) for label, _ in words.facts), default=0) + 1
        lines = "\n".join(f"{label + ':':<{width}} {value}" for label, value in words.facts)
        return {**words.values, "facts": lines}
    rows = "\n".join(f"<tr><th>{escape(label)}</th><td>{escape(value)}</td></tr>" for label, value in words.facts)
    return {**{name: escape(value) for name, value in words.values.items()}, "facts": f"<table>\n{rows}\n</table>"}
