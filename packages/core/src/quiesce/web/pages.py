"""What the product's own pages have in common: one look, no outside resources, nothing that runs but what is named."""

from __future__ import annotations

import base64
import hashlib

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>Maintenance</title>
<style>
body{{font:1.1rem/1.6 system-ui,sans-serif;margin:15vh auto;max-width:36rem;padding:0 1rem;color:#222;background:#fff}}
@media(prefers-color-scheme:dark){{body{{color:#ddd;background:#181818}}}}</style></head>
<body><main><h1>{title}</h1>{content}</main></body></html>
"""


def render_page(*, title: str, content: str) -> bytes:
    """Return a page as UTF-8; both arguments are HTML."""
    return _PAGE.format(title=title, content=content).encode("utf-8", "replace")


def content_policy(*, script: str = "") -> str:
    """Return the ``Content-Security-Policy`` of a page whose only script is this one, or that has none (CSP 3)."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    allowed = f" script-src 'sha256-{digest}';" if script else ""
    return f"default-src 'none'; style-src 'unsafe-inline';{allowed} frame-ancestors 'none'"
