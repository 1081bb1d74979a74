"""Server of the page of ``python -m fer_lightning app``: on this machine only, with limits on uploads."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from fer_lightning.errors import UserError, install_command
from fer_lightning.report.html import TEMPLATES
from fer_lightning.use.prediction_page import Viewer
from fer_lightning.words import counted

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import HTMLResponse, Response
    from starlette.routing import Route
except ImportError as error:
    raise UserError(f"app needs starlette and uvicorn: {install_command('app')}") from error

HOST = "127.0.0.1"  # no other machine can reach it
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


@dataclass
class Uploads:
    """Take photos, a few at a time, into memory only."""

    viewer: Viewer  # answers the photos
    max_bytes: int  # maximum size of a photo's file
    concurrency: int  # maximum number of photos at once; one more is refused
    seconds: float  # time limit of an upload
    at_work: int = 0  # photos that are answered now

    async def take(self, request: Request) -> Response:
        """Return the answer to a photo, or refuse it with one sentence."""
        page = f"http://{request.headers['host']}"
        if request.headers.get("origin", page) != page:
            raise HTTPException(403, "photos are taken from this page alone", HEADERS)
        if self.at_work >= self.concurrency:
            sentence = f"the server works on {counted(self.concurrency, 'photo')}: try again in a moment"
            raise HTTPException(503, sentence, HEADERS)
        self.at_work += 1
        try:
            data = await self._read(request.headers, request.stream())
            return HTMLResponse(await run_in_threadpool(self.viewer.answer, data), headers=HEADERS)
        except UserError as error:
            raise HTTPException(422, str(error), HEADERS) from error
        except ClientDisconnect:
            return Response(status_code=400)  # nobody will read it
        finally:
            self.at_work -= 1

    async def _read(self, headers: Mapping[str, str], chunks: AsyncIterator[bytes]) -> bytes:
        """Return an upload. Its bytes are counted: the size in its headers may be wrong."""
        sentence = f"the photo is larger than {self.max_bytes:,} bytes: give a smaller one"
        too_large = HTTPException(413, sentence, HEADERS)
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
            sentence = f"the photo took longer than {self.seconds:g} s to come: try again"
            raise HTTPException(408, sentence, HEADERS) from None
        return bytes(data)


def make_server(uploads: Uploads, head: Mapping[str, str]) -> uvicorn.Server:
    """Return the server of the page at / with ``head`` at its top, and of answers at /photo. It logs no requests."""
    page = TEMPLATES.get_template("app.html").render(
        title="Facial expressions in a photo",
        head=head,
        max_bytes=uploads.max_bytes,
    )

    async def show(request: Request) -> Response:
        return HTMLResponse(page, headers=HEADERS)

    routes = [Route("/", show), Route("/photo", uploads.take, methods=["POST"])]
    # Another site may give this address a name of its own; other host names are refused, so it cannot read answers.
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"], www_redirect=False)
    app = Starlette(routes=routes, middleware=[hosts])
    return uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, server_header=False))


def listen(port: int) -> socket.socket:
    """Return a socket on this machine only; port 0 chooses a free port.

    Raises:
        UserError: If the port is not available.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        reason = "another program has it" if error.errno == errno.EADDRINUSE else error.strerror
        raise UserError(f"port={port} cannot be had ({reason}): give another, or port=0 for a free one") from error
