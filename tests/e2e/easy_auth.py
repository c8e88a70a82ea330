"""What App Service authentication does in front of an app: checks the token, and writes the principal itself."""

import base64
import http.client
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from local.tokens import TokenAuthority, TokenRejectedError


@contextmanager
def easy_auth(
    app: str,
    tokens: TokenAuthority,
    audience: str,
    roles: Sequence[str],
    *,
    tls: ssl.SSLContext | None = None,
    before_put: Callable[[], None] = lambda: None,
) -> Iterator[str]:
    """An address in front of `app` that lets callers with a token for `audience` through, with these app roles.

    It speaks HTTPS where `tls` is given; `before_put` is called before each PUT, as somebody who is a moment faster.
    """

    class Front(BaseHTTPRequestHandler):
        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            try:
                claims = tokens.verify(self.headers.get("authorization"), audience)
            except TokenRejectedError:
                self.send_response(401)
                self.send_header("content-length", "0")
                self.end_headers()
                return
            found = [{"typ": "oid", "val": claims.object_id}, *({"typ": "roles", "val": role} for role in roles)]
            dropped = {"host", "connection", "authorization", "x-ms-client-principal"}
            sent = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
            sent["X-MS-CLIENT-PRINCIPAL"] = base64.b64encode(json.dumps({"claims": found}).encode()).decode()
            if self.command == "PUT":
                before_put()
            connection = http.client.HTTPConnection(urlsplit(app).netloc, timeout=240)
            connection.request(self.command, self.path, body, sent)
            answer = connection.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"content-length", "transfer-encoding", "connection", "server", "date"}:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            connection.close()

        do_GET = do_PUT = do_POST = do_DELETE = serve  # noqa: N815 - the names that the base class looks for

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
