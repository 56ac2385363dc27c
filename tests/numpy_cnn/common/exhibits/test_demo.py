"""The demo's responses: the backends' numbers for valid requests, a one-line error for all others."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from demo_server import Served, serving, seven, zero
from PIL import Image
from programs import HANG, error_of, start, succeed
from safetensors.numpy import load
from starlette.exceptions import HTTPException
from starlette.requests import Request

import numpy_cnn.backend
import numpy_cnn.views.trace
import torch_cnn.backend
import torch_cnn.views.trace
from numpy_cnn.common.exhibits.demo import server
from numpy_cnn.common.exhibits.demo.answers import Answers
from numpy_cnn.common.exhibits.demo.connection import HEAD_SECONDS
from numpy_cnn.common.exhibits.demo.drawing import GRID, as_drawn, centred
from numpy_cnn.common.exhibits.demo.question import Question
from numpy_cnn.common.exhibits.demo.request import LARGEST, read_drawing
from numpy_cnn.common.exhibits.demo.worker import Worker, WorkerEnded
from numpy_cnn.common.exhibits.page.record import float32
from numpy_cnn.common.photo.image import read_digit
from numpy_cnn.common.spec.architecture import preset
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.initial import initial_parameters
from numpy_cnn.common.training.checkpoint import Checkpoint, load_checkpoint

BACKENDS = {"numpy_cnn": numpy_cnn.backend.Backend, "torch_cnn": torch_cnn.backend.Backend}
TRACERS = {"numpy_cnn": numpy_cnn.views.trace.trace, "torch_cnn": torch_cnn.views.trace.trace}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def path(trained: dict[str, Path]) -> Path:
    return trained["numpy_cnn"] / "best.safetensors"


@pytest.fixture(scope="module")
def checkpoint(path: Path) -> Checkpoint:
    return load_checkpoint(path)


@pytest.fixture(scope="module")
def served(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(path, tmp_path_factory.mktemp("served")) as running:
        yield running


# ---- numbers ----


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("label", [None, 4])
def test_the_numbers_are_the_backends_own(
    served: Served, checkpoint: Checkpoint, centre: bool, label: int | None
) -> None:
    answer = served.look(seven(), centre=centre, label=label)
    image = (centred if centre else as_drawn)(seven(), checkpoint)
    assert np.array_equal(answer["picture"], checkpoint.pixel.fraction(image)[0])
    first, second = (
        Answers(tracer, checkpoint.architecture, checkpoint.parameters).answer(Question(image, label))
        for tracer in TRACERS.values()
    )
    assert answer["label"] == (first["value.fc2"].argmax() if label is None else label)
    for name, array in float32(first).items():
        assert np.array_equal(answer[name], array), name
    for name in ("value.conv1", "value.fc2", "gradient.conv1", "gradient.input", "loss"):
        apart = first[name].astype(np.float64) - second[name]
        assert np.array_equal(answer[f"difference.{name}"], apart.astype(np.float32)), name
    backend = BACKENDS["numpy_cnn"](checkpoint.architecture, checkpoint.parameters, checkpoint.config.optimization)
    assert np.array_equal(answer["value.fc2"], backend.logits(image)[0])
    assert np.array_equal(answer["probabilities"], backend.probabilities(backend.logits(image))[0])


def test_a_drawn_zero_is_read(served: Served) -> None:
    assert np.argmax(served.look(zero())["probabilities"]) == 0


def test_a_centred_drawing_is_read_as_predict_reads_its_picture(checkpoint: Checkpoint, tmp_path: Path) -> None:
    Image.fromarray(255 - seven()).save(tmp_path / "seven.png")
    expected = read_digit(tmp_path / "seven.png", checkpoint.data_size, checkpoint.pixel).inputs
    assert np.array_equal(centred(seven(), checkpoint), expected)


def test_a_drawing_keeps_its_position(checkpoint: Checkpoint) -> None:
    step = GRID // 8
    ink = np.zeros((GRID, GRID), np.uint8)
    ink[2 * step : 3 * step, 5 * step : 6 * step] = 255
    pixels = checkpoint.pixel.fraction(as_drawn(ink, checkpoint))[0, 0]
    expected = np.zeros((8, 8))
    expected[2, 5] = 1
    assert np.array_equal(pixels.round(6), expected)


def question(checkpoint: Checkpoint, **options: object) -> Question:
    return Question(centred(seven(), checkpoint), **options)


@pytest.mark.parametrize("package", sorted(BACKENDS))
@pytest.mark.parametrize("seed", [None, 5])
def test_training_steps_equal_the_backends_and_can_be_rewound(
    checkpoint: Checkpoint, package: str, seed: int | None
) -> None:
    answers = Answers(TRACERS[package], checkpoint.architecture, checkpoint.parameters)
    asked = question(checkpoint, label=3, lr=0.05, seed=seed)
    third, first = (answers.answer(replace(asked, steps=steps)) for steps in (3, 0))
    again = Answers(TRACERS[package], checkpoint.architecture, checkpoint.parameters)
    for steps, expected in ((0, first), (3, third)):
        for name, array in again.answer(replace(asked, steps=steps)).items():
            assert np.array_equal(array, expected[name]), name
    assert ("parameter.fc1.weight" in first) == (seed is not None), "sent only if the page lacks them"

    start = checkpoint.parameters if seed is None else initial_parameters(checkpoint.architecture, seed)
    sgd = replace(checkpoint.config.optimization, optimizer="sgd", momentum=0.0, weight_decay=0.0)
    backend = BACKENDS[package](checkpoint.architecture, start, sgd)
    losses = [backend.train_step(asked.image, np.array([3]), 0.05)[0] for _ in range(4)]
    # The backend's steps round in another order: a few units of 6e-8 add up over three steps.
    assert abs(losses[0] - first["loss"][0]) <= 1e-5 * losses[0]
    assert abs(losses[3] - third["loss"][0]) <= 1e-5 * max(losses)


def test_a_step_that_is_too_large_is_reported(served: Served) -> None:
    content = body(label=3, lr=100, steps=50, seed=0)
    status, _, answer = served.ask("POST", "/look", content, JSON)
    assert status in (200, 422)
    if status == 422:
        assert b"take a smaller learning rate" in answer


def test_a_backend_survives_an_error(checkpoint: Checkpoint, path: Path) -> None:
    bad = Question(np.full((1, 1, 8, 8), np.nan, np.float32), label=1)
    with Worker("numpy_cnn", path) as worker:
        worker.wait()
        with pytest.raises(UserError, match="the loss is nan after 0 steps: take a smaller learning rate"):
            worker.look(bad)
        assert np.isfinite(worker.look(question(checkpoint))["loss"]).all()


# ---- the page ----


def test_the_policy_allows_only_the_page_s_own_code(served: Served) -> None:
    status, headers, body = served.ask("GET", "/")
    page = body.decode()
    assert status == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    for element in ("style", "script"):
        (text,) = re.findall(f'<{element}(?: type="module")?>(.*?)</{element}>', page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy[f"{element}-src"] == f"'sha256-{digest}'"
    assert not re.search(r"https?://|src=|@import|url\(", page), "something is fetched from outside"
    assert "{{" not in page
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


# ---- rejected requests ----


def body(**changes: object) -> bytes:
    ink = base64.b64encode(seven().tobytes()).decode()
    return json.dumps({"ink": ink, "centre": True, "label": None, **changes}).encode()


REFUSED = {
    "not JSON": (400, b"{", {}, "the body is not JSON"),
    "not UTF-8": (400, b"\xff\xfe\xfa", {}, "the body is not JSON"),
    "empty": (400, b"", {}, "the body is not JSON"),
    "nested": (400, b"[" * 30_000, {}, "the body is not JSON"),
    "a list": (400, b"[]", {}, "not an object"),
    "no ink": (400, b"{}", {}, "12544 bytes, not NoneType"),
    "not base64": (400, body(ink="÷"), {}, "12544 bytes, got invalid base64"),
    "too little ink": (400, body(ink="AAAA"), {}, "not of 3"),
    "centre": (400, body(centre=1), {}, "must be true or false"),
    "label beyond": (400, body(label=10), {}, "from 0 to 9"),
    "label below": (400, body(label=-1), {}, "from 0 to 9"),
    "label true": (400, body(label=True), {}, "from 0 to 9"),
    "label NaN": (400, body(label=float("nan")), {}, "from 0 to 9"),
    "many steps": (400, body(steps=51), {}, "from 0 to 50"),
    "seed": (400, body(seed=2**32), {}, "from 0 to 4294967295"),
    "lr zero": (400, body(lr=0), {}, "above 0"),
    "lr infinite": (400, body(lr=float("inf")), {}, "above 0"),
    "lr text": (400, body(lr="1"), {}, "above 0"),
    "form": (415, body(), {"Content-Type": "text/plain"}, "as application/json, got 'text/plain'"),
    "too large": (413, b" " * (LARGEST + 1), {}, f"at most {LARGEST} bytes"),
    "a lie": (413, b"{}", {"Content-Length": "99999999999"}, f"at most {LARGEST} bytes"),
    "blank": (422, body(ink=base64.b64encode(bytes(GRID * GRID)).decode()), {}, "no digit"),
    "all ink": (422, body(ink=base64.b64encode(b"\xff" * GRID * GRID).decode()), {}, "no digit"),
    "other host": (403, body(), {"Host": "evil.example"}, "the request is for 'evil.example'"),
    "other port": (403, body(), {"Host": "127.0.0.1:1"}, "the request is for '127.0.0.1:1'"),
    "other origin": (403, body(), {"Origin": "https://evil.example"}, "from a page of 'https://evil.example'"),
    "origin without a scheme": (403, body(), {"Origin": "127.0.0.1:0"}, "from a page of '127.0.0.1:0'"),
    "large head": (431, body(), {"X": "x" * 16_384}, "the head of a request has at most 16384 bytes"),
    "many headers": (431, body(), {f"X-{n}": "x" * 100 for n in range(160)}, "at most 16384 bytes"),
    "null origin": (403, body(), {"Origin": "null"}, "from a page of 'null'"),
    "other site": (403, body(), {"Sec-Fetch-Site": "cross-site"}, "another site"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_rejected_requests_get_one_line(served: Served, what: str) -> None:
    status, content, headers, reported = REFUSED[what]
    got, sent, text = served.ask("POST", "/look", content, JSON | headers)
    assert got == status, text
    assert reported in text.decode()
    assert text.decode().count("\n") == 1
    assert "Traceback" not in text.decode()
    assert sent["content-type"] == "text/plain; charset=utf-8"
    assert "content-security-policy" in sent


def test_a_body_without_a_length_is_read_up_to_the_limit(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=HANG)
    parts = (b" " * 4096 for _ in range(LARGEST // 4096 + 2))
    connection.request("POST", "/look", parts, JSON, encode_chunked=True)
    response = connection.getresponse()
    assert (response.status, response.read()) == (413, f"a drawing has at most {LARGEST} bytes\n".encode())
    connection.close()


def test_a_body_that_does_not_arrive_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def receive() -> dict:
        await asyncio.sleep(60)
        return {}

    monkeypatch.setattr("numpy_cnn.common.exhibits.demo.request.PATIENCE", 0.05)
    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}
    with pytest.raises(HTTPException, match="did not arrive within") as refused:
        asyncio.run(read_drawing(Request(scope, receive), classes=10))
    assert refused.value.status_code == 408


@pytest.mark.parametrize(
    ("method", "address", "status"), [("GET", "/look", 405), ("POST", "/", 405), ("GET", "/../etc/passwd", 404)]
)
def test_other_paths_and_methods_are_rejected(served: Served, method: str, address: str, status: int) -> None:
    assert served.ask(method, address)[0] == status


@pytest.mark.parametrize("sent", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"])
def test_malformed_requests_get_status_400(served: Served, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=HANG) as connection:
        connection.sendall(sent)
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    assert served.ask("GET", "/")[0] == 200


def test_the_origin_must_equal_that_of_the_page(served: Served) -> None:
    for origin in (
        f"https://localhost:{served.port}",
        f"localhost:{served.port}",
        f"http://localhost:{served.port}/",
    ):
        assert served.ask("POST", "/look", body(), JSON | {"Origin": origin})[0] == 403


def test_incomplete_headers_block_no_other_request_and_time_out(served: Served) -> None:
    connections = [socket.create_connection(("127.0.0.1", served.port), timeout=HANG) for _ in range(100)]
    try:
        for connection in connections:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert served.ask("GET", "/")[0] == 200
        began = time.monotonic()
        for connection in connections:
            assert connection.recv(100).startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - began < len(connections) * HEAD_SECONDS / 4  # not one after the other
    finally:
        for connection in connections:
            connection.close()


def children(process: int) -> list[int]:
    """The child processes started by any thread of this process."""
    lists = Path(f"/proc/{process}/task").glob("*/children")
    return sorted(int(child) for own in lists for child in own.read_text().split())


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the processes in /proc")
def test_a_killed_worker_is_replaced(served: Served) -> None:
    expected, before = served.ask("POST", "/look", body(), JSON), children(served.process_id)
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    assert served.ask("POST", "/look", body(), JSON)[2] == expected[2]
    after = children(served.process_id)
    assert len(after) == 2
    assert before[1] in after
    assert before[0] not in after


def test_if_one_backend_cannot_be_restarted_the_other_still_works(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(path.read_bytes())
    with Worker("numpy_cnn", path) as first, Worker("torch_cnn", copy) as second:
        application = server.application(load_checkpoint(path), [first, second], "", None, 1)
        for worker in (first, second):
            worker.wait()

        def look() -> bytes:
            status, answer = asyncio.run(post(application, body()))
            assert status == 200
            return answer

        expected = look()
        assert np.abs(load(expected)["difference.loss"]) < 1e-4
        copy.unlink()
        second._process.kill()
        seen = look()
        assert np.array_equal(load(seen)["value.fc2"], load(expected)["value.fc2"])
        assert "difference.loss" not in load(seen)
        assert b"the process of PyTorch has ended: " in seen
        assert b"no such checkpoint" in seen
        copy.write_bytes(path.read_bytes())
        assert look() == expected


async def post(application: object, content: bytes) -> tuple[int, bytes]:
    """Call the application as the server does; return the status and the body of the response."""
    sent: list[dict] = []
    headers = [(b"host", b"127.0.0.1:1"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/look", "raw_path": b"/look", "query_string": b""}

    async def receive() -> dict:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: dict) -> None:
        sent.append(message)

    await application({**scope, "headers": headers}, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


def test_requests_from_the_page_itself_are_accepted(served: Served) -> None:
    for host in (f"127.0.0.1:{served.port}", f"localhost:{served.port}", f"LocalHost:{served.port}"):
        headers = JSON | {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
        assert served.ask("POST", "/look", body(), headers)[0] == 200


def test_the_socket_listens_only_on_the_loopback_address(served: Served) -> None:
    """Connecting to another address of this machine, such as 127.0.0.2, fails."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", served.port), timeout=5)


# ---- the command ----


def test_without_a_checkpoint_it_uses_the_network_of_the_package(tmp_path: Path) -> None:
    process = start("-m", "numpy_cnn", "demo", "--port", 0, cwd=tmp_path)
    try:
        assert process.stdout.readline().startswith("draw a digit at http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=HANG)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, err
    assert not list(tmp_path.iterdir())


def test_without_torch_only_numpy_is_shown_with_a_note(
    monkeypatch: pytest.MonkeyPatch, path: Path, program: str
) -> None:
    import numpy_cnn.common.cli.demo as command
    from numpy_cnn.common.exhibits.demo import server

    find, applications = command.find_spec, []
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "torch" else find(name))
    monkeypatch.setattr("torch_cnn.__main__.find_spec", lambda name: None)
    monkeypatch.setattr(server, "application", lambda *arguments: applications.append(arguments))
    monkeypatch.setattr(server, "serve", lambda *_: None)
    if program == "torch_cnn":
        assert error_of(program, "demo", path).startswith("PyTorch is not installed")
        return
    reported = succeed(program, "demo", path, "--port", 0).out
    assert reported.startswith("PyTorch is not installed, so only NumPy is shown")
    ((_, workers, _, note, _),) = applications
    assert [worker.label for worker in workers] == ["NumPy"]
    assert note == reported.splitlines()[0]


@pytest.mark.parametrize("library", ["starlette", "uvicorn"])
def test_a_missing_server_library_is_reported_with_its_install_command(
    monkeypatch: pytest.MonkeyPatch, program: str, library: str
) -> None:
    import numpy_cnn.common.cli.demo as command

    find = command.find_spec
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == library else find(name))
    assert error_of(program, "demo") == f"demo needs {library}: pip install starlette uvicorn"


def test_mistakes_are_reported_before_anything_starts(path: Path, tmp_path: Path, program: str) -> None:
    assert "no such checkpoint" in error_of(program, "demo", tmp_path / "none.safetensors")
    assert error_of(program, "demo", path, "--port", 99999) == "--port must be between 0 and 65535, got 99999"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert error_of(program, "demo", path, "--port", port).startswith(f"--port {port}: cannot listen on it (")


def test_a_backend_process_that_ends_is_reported_with_its_error(tmp_path: Path) -> None:
    with Worker("numpy_cnn", tmp_path / "none.safetensors") as worker, pytest.raises(WorkerEnded) as ended:
        worker.wait()
    assert "the process of NumPy has ended: " in str(ended.value)
    assert "no such checkpoint" in str(ended.value)
    with pytest.raises(WorkerEnded, match="has been stopped"):
        worker.look(Question(np.zeros((1, 1, 8, 8), np.float32)))


def test_a_network_with_unsupported_inputs_is_rejected(checkpoint: Checkpoint) -> None:
    from numpy_cnn.common.exhibits.demo.drawing import check_fits

    check_fits(checkpoint, None)
    coloured = replace(checkpoint, architecture=preset("hidden", in_channels=3))
    with pytest.raises(UserError, match="expects 3x28x28 inputs"):
        check_fits(coloured, Path("x"))
