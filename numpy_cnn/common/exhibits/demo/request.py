"""The drawing that the page sends, validated."""

import asyncio
import base64
import binascii
import json
from dataclasses import dataclass

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from numpy_cnn.common.exhibits.demo.drawing import GRID
from numpy_cnn.common.exhibits.demo.question import MOST_STEPS
from numpy_cnn.common.spec.backend import Array

LARGEST = 32_768  # bytes of a body; a drawing has 16,728 in base64, plus some JSON
PATIENCE = 10.0  # seconds for the body to arrive


@dataclass(frozen=True)
class Drawing:
    """Ink uint8 (GRID, GRID), whether to centre it, and the other fields of `Question`."""

    ink: Array
    centre: bool
    label: int | None
    steps: int
    lr: float
    seed: int | None


async def read_drawing(request: Request, classes: int) -> Drawing:
    """The drawing in the body, a JSON object: `ink`, base64 of GRID·GRID bytes, and the other fields of `Drawing`.

    Raises:
        HTTPException: 415, 413, 408 or 400, with the reason.
    """
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, f"expected a drawing as application/json, got {kind[:80] or 'no content type'!r}")
    try:
        body = await asyncio.wait_for(_body(request), PATIENCE)
    except TimeoutError:
        raise HTTPException(408, f"the drawing did not arrive within {PATIENCE:g} seconds") from None
    except ClientDisconnect:
        raise HTTPException(400, "the client disconnected") from None
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is not JSON") from None
    if not isinstance(sent, dict):
        raise HTTPException(400, "the body is JSON, but not an object")
    return Drawing(
        ink=_ink(sent.get("ink")),
        centre=_centre(sent.get("centre", True)),
        label=_integer(sent, "label", classes - 1),
        steps=_integer(sent, "steps", MOST_STEPS) or 0,
        lr=_lr(sent.get("lr", 0.1)),
        seed=_integer(sent, "seed", 2**32 - 1),
    )


async def _body(request: Request) -> bytes:
    """The body, of which at most `LARGEST` bytes are read."""
    length = request.headers.get("content-length", "0")
    parts, size = [], int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0
    if size <= LARGEST:
        size = 0
        async for part in request.stream():
            parts.append(part)
            size += len(part)
            if size > LARGEST:
                break
    if size > LARGEST:
        raise HTTPException(413, f"a drawing has at most {LARGEST} bytes")
    return b"".join(parts)


def _ink(value: object) -> Array:
    expected = f'"ink" must be the base64 of {GRID}x{GRID} = {GRID * GRID} bytes'
    if not isinstance(value, str):
        raise HTTPException(400, f"{expected}, not {type(value).__name__}")
    try:
        content = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise HTTPException(400, f"{expected}, got invalid base64") from None
    if len(content) != GRID * GRID:
        raise HTTPException(400, f"{expected}, not of {len(content)}")
    return np.frombuffer(content, np.uint8).reshape(GRID, GRID)


def _centre(value: object) -> bool:
    if not isinstance(value, bool):
        raise HTTPException(400, '"centre" must be true or false')
    return value


def _integer(sent: dict[str, object], name: str, most: int) -> int | None:
    value = sent.get(name)
    if value is not None and (type(value) is not int or not 0 <= value <= most):
        raise HTTPException(400, f'"{name}" must be null or an integer from 0 to {most}')
    return value


def _lr(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 100:
        raise HTTPException(400, '"lr" must be a number above 0 and at most 100')
    return float(value)
