"""The page as one file: style and script are inline, and its policy allows nothing else."""

import base64
import hashlib
import json
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class Page:
    """The HTML, and the Content-Security-Policy under which exactly its own style and script run."""

    html: str
    policy: str


def build(setup: dict[str, Any], title: str) -> Page:
    """Assemble the page; `setup` is the script's initial data."""
    html, style, script = (
        resources.files(__package__).joinpath(f"page.{kind}").read_text(encoding="utf-8")
        for kind in ("html", "css", "js")
    )
    policy = "; ".join(
        [
            "default-src 'none'",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
    data = json.dumps(setup).replace("<", "\\u003c")  # no file name can close the element
    parts = {"TITLE": escape(title), "STYLE": style, "SCRIPT": script, "SETUP": data}
    for name, part in parts.items():
        html = html.replace(f"{{{{{name}}}}}", part)
    return Page(html, policy)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
