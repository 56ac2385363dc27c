"""Accept only requests from the server's own page on this machine.

A page of another site, open in the same browser, can send requests to 127.0.0.1, or have its own name resolve to
it (DNS rebinding). The first is recognized by its Origin, the second by its Host.
"""

from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


LARGEST_HEAD = 16_384  # bytes of the address and all headers


class Guard:
    """Middleware that rejects foreign requests (403) and large heads (431), and adds security headers."""

    def __init__(self, app: ASGIApp, port: int, policy: str) -> None:
        self.app = app
        self.hosts = [f"127.0.0.1:{port}", f"localhost:{port}"]
        self.headers = HEADERS | {"Content-Security-Policy": policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers[name] = value
            await send(message)

        status, refusal = 403, self._refusal(Headers(scope=scope))
        if _head_size(scope) > LARGEST_HEAD:
            status, refusal = 431, f"refused: the head of a request has at most {LARGEST_HEAD} bytes"
        if refusal is None:
            await self.app(scope, receive, send_with_headers)
        else:
            await PlainTextResponse(f"{refusal}\n", status_code=status)(scope, receive, send_with_headers)

    def _refusal(self, headers: Mapping[str, str]) -> str | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if host.lower() not in self.hosts:
            return f"refused: this is {self.hosts[0]}, and the request is for {host[:80] or 'no host'!r}"
        if origin is not None and origin.lower() not in [f"http://{own}" for own in self.hosts]:
            return f"refused: the request comes from a page of {origin[:80]!r}, not from the one served here"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "refused: the request comes from a page of another site, not from the one served here"
        return None


def _head_size(scope: Scope) -> int:
    fields = sum(len(name) + len(value) + len(": \r\n") for name, value in scope["headers"])
    return fields + len(scope["raw_path"]) + len(scope["query_string"])
