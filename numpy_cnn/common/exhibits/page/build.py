"""The page as one file: style, script and numbers are inline, and nothing is fetched."""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from safetensors.numpy import save

from numpy_cnn.common.exhibits.page.record import float32
from numpy_cnn.common.spec.backend import Array

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w/.-]+)";\n', re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """The HTML, and the Content-Security-Policy under which exactly its own style and script run."""

    html: str
    policy: str


def build(
    setup: Mapping[str, Any], parameters: Mapping[str, Array], records: Sequence[Mapping[str, Array]]
) -> Page:
    """Assemble the page.

    Args:
        setup: the script's data other than arrays; `title` is that of the document.
        parameters: the network's, under torch's names.
        records: of each step of training, the first before any; none for a page that a server answers.
    """
    here = resources.files(__package__)
    style = "".join(_texts(here / "style"))
    script = bundle(here / "script")
    connect = "'self'" if setup["live"] else "'none'"
    policy = "; ".join(
        [
            "default-src 'none'",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            f"connect-src {connect}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    parts = {
        "TITLE": escape(str(setup["title"])),
        "POLICY": escape(policy),
        "STYLE": style,
        "SCRIPT": script,
        "SETUP": _json(setup),
        "ARRAYS": _json([packed(arrays) for arrays in (parameters, *records)]),
    }
    html = (here / "page.html").read_text(encoding="utf-8")
    # In one pass, because inserted text may look like a placeholder.
    html = re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], html)
    return Page(html, f"{policy}; frame-ancestors 'none'")


def packed(arrays: Mapping[str, Array]) -> str:
    """Base64 of gzip of safetensors, which the script unpacks."""
    return base64.b64encode(gzip.compress(save(float32(arrays)), compresslevel=6, mtime=0)).decode()


def bundle(folder: Traversable) -> str:
    """The modules as one script: each after those that it imports, without the lines that import and export.

    The names at the top of all modules therefore share one scope.
    """
    order: dict[str, str] = {}

    def add(name: str) -> None:
        if name in order:
            return
        text = folder.joinpath(*name.split("/")).read_text(encoding="utf-8")
        for needed in _IMPORT.findall(text):
            add(needed)
        order[name] = re.sub(r"^export ", "", _IMPORT.sub("", text), flags=re.MULTILINE)

    add("main.js")
    return "".join(f"/* {name} */\n{text}" for name, text in order.items())


def _texts(folder: Traversable) -> Iterable[str]:
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    return (file.read_text(encoding="utf-8") for file in files)


def _json(value: Any) -> str:
    """JSON in which nothing can close the element that it is in."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
