"""Who may speak to the server: pages that it served itself, on this machine, and nobody else.

A page of another site, open in the same browser, can send requests to 127.0.0.1, or have its own name resolve to
it (DNS rebinding). The first shows itself by its Origin, the second by its Host.
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


class Guard:
    """Middleware that answers strangers itself, with 403, and adds the headers that browsers are to obey."""

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

        refusal = self._refusal(Headers(scope=scope))
        if refusal is None:
            await self.app(scope, receive, send_with_headers)
        else:
            await PlainTextResponse(f"{refusal}\n", status_code=403)(scope, receive, send_with_headers)

    def _refusal(self, headers: Mapping[str, str]) -> str | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if host not in self.hosts:
            return f"refused: this is {self.hosts[0]}, and the request is for {host[:80] or 'no host'!r}"
        if origin is not None and origin.removeprefix("http://") not in self.hosts:
            return f"refused: the request comes from a page of {origin[:80]!r}, not from the one served here"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "refused: the request comes from a page of another site, not from the one served here"
        return None
