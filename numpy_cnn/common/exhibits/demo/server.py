"""The local server: the page, the numbers for a drawing, and the page saved with these numbers."""

import asyncio
import socket
from collections.abc import Mapping, Sequence

import uvicorn
from safetensors.numpy import save
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from numpy_cnn.common.exhibits.demo.connection import Connection
from numpy_cnn.common.exhibits.demo.drawing import GRID, as_drawn, centred
from numpy_cnn.common.exhibits.demo.guard import LARGEST_HEAD, Guard
from numpy_cnn.common.exhibits.demo.question import Question
from numpy_cnn.common.exhibits.demo.request import Drawing, read_drawing
from numpy_cnn.common.exhibits.demo.worker import Worker, WorkerEnded
from numpy_cnn.common.exhibits.page.build import build
from numpy_cnn.common.exhibits.page.record import Arrays, differences, float32
from numpy_cnn.common.exhibits.page.setup import describe
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
    """The page at `/`; at `/look` the record of a drawing, as safetensors; at `/save` the page with the records.

    Args:
        checkpoint: the network that all workers have loaded.
        workers: the backends: the first one's numbers are shown, with the difference of the second one's.
        name: of the network, for the page's heading.
        note: a remark for the page, for example that a backend is missing.
        port: of the server; requests with another Host or Origin are rejected.
    """
    architecture = checkpoint.architecture
    setup = describe(
        architecture,
        checkpoint.parameters,
        title="Look inside a convolutional network",
        name=name,
        note=note,
        live=True,
        grid=GRID,
        backends=[worker.label for worker in workers],
        lr=0.001,
    )
    page = build(setup, checkpoint.parameters, [])

    async def show(request: Request) -> Response:  # noqa: ARG001  # the signature of an endpoint
        return HTMLResponse(page.html)

    async def look(request: Request) -> Response:
        drawing = await read_drawing(request, architecture.classes)
        arrays, error = await _record(checkpoint, workers, drawing, drawing.steps)
        return Response(save(float32(arrays), {"error": error}), media_type="application/octet-stream")

    async def keep(request: Request) -> Response:
        drawing = await read_drawing(request, architecture.classes)
        steps = range(drawing.steps + 1)
        records = [(await _record(checkpoint, workers, drawing, step))[0] for step in steps]
        saved = {**setup, "live": False, "lr": drawing.lr, "seed": drawing.seed}
        html = await run_in_threadpool(lambda: build(saved, checkpoint.parameters, records).html)
        return Response(html, media_type="application/octet-stream")

    return Starlette(
        routes=[
            Route("/", show),
            Route("/look", look, methods=["POST"]),
            Route("/save", keep, methods=["POST"]),
        ],
        middleware=[Middleware(Guard, port=port, policy=page.policy)],
        exception_handlers={HTTPException: _refuse},
    )


async def _record(
    checkpoint: Checkpoint, workers: Sequence[Worker], drawing: Drawing, steps: int
) -> tuple[Arrays, str]:
    """The numbers of the first available backend, the difference of the second one, and the reason if one failed.

    Raises:
        HTTPException: 422 if the drawing cannot be processed, 503 if no backend is available.
    """
    read = centred if drawing.centre else as_drawn
    try:
        image = await run_in_threadpool(read, drawing.ink, checkpoint)
    except UserError:
        raise HTTPException(422, "there is no digit: the drawing is blank or completely inked") from None
    question = Question(image, drawing.label, steps, drawing.lr, drawing.seed)
    results = await asyncio.gather(*(run_in_threadpool(_look, worker, question) for worker in workers))
    answers = [result for result in results if isinstance(result, Mapping)]
    errors = [result for result in results if not isinstance(result, Mapping)]
    if not answers:
        refused = all(isinstance(error, UserError) for error in errors)
        raise HTTPException(422 if refused else 503, "; ".join(map(str, errors)))
    first, *others = answers
    arrays = first | {"picture": checkpoint.pixel.fraction(image)[0]}
    for other in others:
        arrays |= differences(first, other)
    return arrays, "; ".join(map(str, errors))


def _look(worker: Worker, question: Question) -> Arrays | UserError | WorkerEnded:
    """The worker's answer, or the exception if it has none, so that the other backend's answer is still shown."""
    try:
        return worker.look(question)
    except (UserError, WorkerEnded) as error:
        return error


async def _refuse(request: Request, error: Exception) -> Response:  # noqa: ARG001  # the signature of a handler
    assert isinstance(error, HTTPException)
    return PlainTextResponse(f"{error.detail}\n", status_code=error.status_code, headers=error.headers)
