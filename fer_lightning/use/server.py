"""The page on this machine alone: one that asks for a photo, and the answer to it. Limits of uploads are kept here."""

import asyncio
import base64
import errno
import hashlib
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from markupsafe import Markup

from fer_lightning.errors import UserError, install_command
from fer_lightning.report import html
from fer_lightning.use.app import Viewer

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import HTMLResponse, PlainTextResponse, Response
    from starlette.routing import Route
except ImportError as error:
    raise UserError(f"app needs starlette and uvicorn: {install_command('app')}") from error

HOST = "127.0.0.1"  # no other machine can reach it
SCRIPT = (Path(html.__file__).parent / "templates" / "app.js").read_text(encoding="utf-8")
SCRIPT_HASH = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


class RefusedError(Exception):
    """An upload that is not taken.

    Args:
        status: What HTTP calls it.
        sentence: Why, and what can be done.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Uploads:
    """Takes photos, a few at a time, each into memory alone.

    Args:
        viewer: What answers them.
        max_bytes: Size of a photo's file, at most.
        concurrency: Photos that are worked on at once; what comes meanwhile is told to come again.
        seconds: How long an upload may take.
    """

    def __init__(self, viewer: Viewer, max_bytes: int, concurrency: int, seconds: float) -> None:
        self.viewer, self.max_bytes, self.concurrency, self.seconds = viewer, max_bytes, concurrency, seconds
        self.at_work = 0

    async def take(self, request: Request) -> Response:
        """Return the answer to a photo, or the one sentence on why there is none."""
        try:
            return await self._answer(request)
        except RefusedError as refusal:
            return PlainTextResponse(str(refusal), refusal.status, HEADERS)
        except UserError as error:
            return PlainTextResponse(str(error), 422, HEADERS)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it

    async def _answer(self, request: Request) -> Response:
        if request.headers.get("origin", f"http://{request.headers['host']}") != f"http://{request.headers['host']}":
            raise RefusedError(403, "photos are taken from this page alone")
        if self.at_work >= self.concurrency:
            raise RefusedError(503, f"{self.concurrency} photos are being looked at: try again in a moment")
        self.at_work += 1
        try:
            data = await self._read(request.headers, request.stream())
            return HTMLResponse(await run_in_threadpool(self.viewer.answer, data), headers=HEADERS)
        finally:
            self.at_work -= 1

    async def _read(self, headers: Mapping[str, str], chunks: AsyncIterator[bytes]) -> bytes:
        """Return an upload whose size is counted as it comes, whatever its headers say."""
        too_large = RefusedError(413, f"the photo is larger than {self.max_bytes:,} bytes: give a smaller one")
        if int(headers.get("content-length", 0)) > self.max_bytes:
            raise too_large
        data = bytearray()
        try:
            async with asyncio.timeout(self.seconds):
                async for chunk in chunks:
                    data += chunk
                    if len(data) > self.max_bytes:
                        raise too_large
        except TimeoutError:
            raise RefusedError(408, f"the photo took longer than {self.seconds:g} s to come: try again") from None
        return bytes(data)


def make_app(uploads: Uploads, head: Mapping[str, str]) -> Starlette:
    """Return the page and what answers it, for hosts that are this machine by name.

    Args:
        uploads: What takes the photos.
        head: What the page says of the model, by name.
    """
    page = html.TEMPLATES.get_template("app.html").render(
        title="Facial expressions in a photo",
        head=head,
        max_bytes=uploads.max_bytes,
        app_script=Markup(SCRIPT),
        app_script_hash=SCRIPT_HASH,
    )

    async def show(request: Request) -> Response:
        return HTMLResponse(page, headers=HEADERS)

    routes = [Route("/", show), Route("/photo", uploads.take, methods=["POST"])]
    # What another site's name leads here by is refused, so that no site can read answers in a visitor's browser.
    names = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"], www_redirect=False)
    return Starlette(routes=routes, middleware=[names])


def listen(port: int) -> socket.socket:
    """Return a socket on this machine alone; port 0 is any that is free.

    Raises:
        UserError: If the port cannot be had.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        reason = "another program has it" if error.errno == errno.EADDRINUSE else error.strerror
        raise UserError(f"port={port} cannot be had ({reason}): give another, or port=0 for a free one") from error


def serve(app: Starlette, place: socket.socket) -> None:
    """Serve until a signal ends it."""
    server(app).run(sockets=[place])


def server(app: Starlette) -> uvicorn.Server:
    """Return what serves the page; it writes no line for a request."""
    return uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, server_header=False))
