"""The local server: one page, and one request that the page repeats during drawing."""

import asyncio
import base64
import socket
from collections.abc import Sequence
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from numpy_cnn.common.exhibits.demo.connection import Connection
from numpy_cnn.common.exhibits.demo.drawing import GRID, as_drawn, centred
from numpy_cnn.common.exhibits.demo.guard import LARGEST_HEAD, Guard
from numpy_cnn.common.exhibits.demo.inspector import maps_of
from numpy_cnn.common.exhibits.demo.page import build
from numpy_cnn.common.exhibits.demo.request import read_drawing
from numpy_cnn.common.exhibits.demo.shares import shares
from numpy_cnn.common.exhibits.demo.worker import Worker, WorkerEnded
from numpy_cnn.common.spec.architecture import Architecture, is_buffer
from numpy_cnn.common.spec.backend import Array
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.checkpoint import Checkpoint


def listen(port: int) -> socket.socket:
    """A socket on the loopback address; port 0 takes any free port.

    Raises:
        UserError: the port is in use or reserved.
    """
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise UserError(
            f"--port {port}: cannot listen on it ({error.strerror}); --port 0 takes a free one"
        ) from error


def serve(app: Starlette, listening: socket.socket) -> None:
    """Answer requests until Ctrl-C.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        limit_concurrency=64,
        h11_max_incomplete_event_size=LARGEST_HEAD,
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[listening])


def application(
    checkpoint: Checkpoint, workers: Sequence[Worker], name: str, note: str | None, port: int
) -> Starlette:
    """The page at `/` and, at `/look`, every backend's view of a drawing.

    Args:
        checkpoint: the network that all workers have loaded.
        workers: the backends, in the order of the page.
        name: of the network, for the page's heading.
        note: a remark for the page, for example that a backend is missing.
        port: of the server; requests with another Host or Origin are rejected.
    """
    architecture = checkpoint.architecture
    setup = {
        "grid": GRID,
        "classes": architecture.classes,
        "imageSize": list(architecture.image_size),
        "loss": architecture.loss,
        "name": name,
        "note": note,
        "parameters": sum(array.size for name, array in checkpoint.parameters.items() if not is_buffer(name)),
        "backends": [{"package": worker.package, "label": worker.label} for worker in workers],
        "maps": list(maps_of(architecture)),
        "shapes": {stage: list(shape) for stage, shape in architecture.stages()},
        "kernels": _packed(checkpoint.parameters["conv1.weight"].mean(axis=1)),
    }
    page = build(setup, "Draw a digit")

    async def show(request: Request) -> Response:  # noqa: ARG001  # the signature of an endpoint
        return HTMLResponse(page.html)

    async def look(request: Request) -> Response:
        drawing = await read_drawing(request, architecture.classes)
        read = centred if drawing.centre else as_drawn
        try:
            image = await run_in_threadpool(read, drawing.ink, checkpoint)
        except UserError:
            raise HTTPException(422, "there is no digit: the drawing has no ink, or nothing but ink") from None
        requests = [run_in_threadpool(_look, worker, image, drawing.digit) for worker in workers]
        results = await asyncio.gather(*requests)
        if all(isinstance(one, WorkerEnded) for one in results):
            raise HTTPException(503, "; ".join(map(str, results)))
        answers = {
            worker.package: {"error": str(one)} if isinstance(one, WorkerEnded) else _answer(one, architecture)
            for worker, one in zip(workers, results, strict=True)
        }
        return JSONResponse({"input": _packed(checkpoint.pixel.fraction(image)[0]), "backends": answers})

    return Starlette(
        routes=[Route("/", show), Route("/look", look, methods=["POST"])],
        middleware=[Middleware(Guard, port=port, policy=page.policy)],
        exception_handlers={HTTPException: _refuse},
    )


def _look(worker: Worker, image: Array, digit: int | None) -> dict[str, Array] | WorkerEnded:
    """The worker's answer, or why there is none; the other backend's answer is shown in any case."""
    try:
        return worker.look(image, digit)
    except WorkerEnded as ended:
        return ended


def _answer(seen: dict[str, Array], architecture: Architecture) -> dict[str, Any]:
    probabilities = shares(seen["scores"]) if architecture.loss == "mse" else seen["probabilities"]
    return {
        "digit": int(seen["digit"][0]),
        "scores": seen["scores"].tolist(),
        "probabilities": probabilities.tolist(),
        "saliency": _packed(seen["saliency"]),
        "maps": {stage: _packed(seen[stage]) for stage in maps_of(architecture)},
    }


def _packed(planes: Array) -> dict[str, Any]:
    """Planes (N, h, w) in the page's format: little-endian float32 in base64."""
    little = np.ascontiguousarray(planes, "<f4")
    return {"shape": list(little.shape), "data": base64.b64encode(little.tobytes()).decode()}


async def _refuse(request: Request, error: Exception) -> Response:  # noqa: ARG001  # the signature of a handler
    assert isinstance(error, HTTPException)
    return PlainTextResponse(f"{error.detail}\n", status_code=error.status_code, headers=error.headers)
