"""The HTTP server of the API: whatever is sent, no more of it is held than a request may have, and 413 is answered."""

import logging
from collections.abc import Awaitable

from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.web import Application

from beamhub.processing.errors import TooLarge

log = logging.getLogger(__name__)
LARGEST = 4 * 2**20  # bytes of one request
PASSED_OVER = 64 * 2**20  # bytes that are read and thrown away, since many senders read no answer before they sent all
UNBOUNDED = 2**63  # tornado's own bound is a bare 400


def server(application: Application) -> HTTPServer:
    """A server that answers with a problem where a request is larger than 4 MiB, and holds no more of it."""
    return HTTPServer(_Bounded(application), max_body_size=UNBOUNDED)


class _Bounded(HTTPServerConnectionDelegate):
    def __init__(self, application: Application) -> None:
        self._application = application

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        return _Request(self._application.start_request(server_conn, request_conn), request_conn)


class _Request(HTTPMessageDelegate):
    """Passes one request on as long as it is not too large; of the rest only the length is kept."""

    def __init__(self, inner: HTTPMessageDelegate, connection: HTTPConnection) -> None:
        self._inner, self._connection = inner, connection
        self._received, self._line = 0, ""

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        self._line = " ".join(start_line[:2]) if isinstance(start_line, RequestStartLine) else ""
        told = headers.get("Content-Length", "")
        if told.isascii() and told.isdecimal() and int(told[:30]) > PASSED_OVER:
            self._refuse()
            return None
        return self._inner.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._received += len(chunk)
        if self._received <= LARGEST:
            return self._inner.data_received(chunk)
        if self._received > PASSED_OVER:
            self._refuse()
        return None

    def finish(self) -> None:
        if self._received <= LARGEST:
            self._inner.finish()
        else:
            self._inner.on_connection_close()
            self._refuse()

    def on_connection_close(self) -> None:
        self._inner.on_connection_close()

    def _refuse(self) -> None:
        """Answer; where not all was read the connection ends with it."""
        log.info("%s: 413, more than %d bytes", self._line.partition("?")[0][:200], LARGEST)
        problem = TooLarge(f"more than {LARGEST} bytes were sent; send smaller batches").problem
        body = problem.model_dump_json().encode()
        headers = HTTPHeaders({"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(body))})
        start = ResponseStartLine("HTTP/1.1", 413, "Content Too Large")
        self._connection.write_headers(start, headers, None if self._line.startswith("HEAD ") else body)
        self._connection.finish()
