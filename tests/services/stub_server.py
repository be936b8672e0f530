"""A notebook server that is none: answers every path with its name and environment, starts in 0.1 s.

``STUB_SLEEP`` seconds are waited before it listens, and until the file ``STUB_GATE`` is there; with ``STUB_DIE`` it
ends with that code instead. Asked for ``…/eat`` it takes 600 MB.
After SIGUSR1 it refuses connections, after SIGUSR2 it answers again.
"""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Handler(BaseHTTPRequestHandler):
    """Answers with the part of the environment that is no secret; ``…/die`` ends the server with code 7."""

    def do_GET(self):
        if self.path.endswith("/eat"):
            self.server.eaten = b"x" * 600_000_000
        if self.path.endswith("/die"):
            print("the stub was told to die", file=sys.stderr, flush=True)
            os._exit(7)
        shown = {key: value for key, value in os.environ.items() if "TOKEN" not in key}
        body = json.dumps({"path": self.path, "pid": os.getpid(), "uid": os.getuid(), "environment": shown}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


time.sleep(float(os.environ.get("STUB_SLEEP", "0")))
while (gate := os.environ.get("STUB_GATE")) and not os.path.exists(gate):
    time.sleep(0.05)
if os.environ.get("STUB_DIE"):
    print("the stub cannot load what it needs", file=sys.stderr, flush=True)
    sys.exit(int(os.environ["STUB_DIE"]))
place = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
while True:
    with ThreadingHTTPServer((place.hostname, place.port), Handler) as server:
        close = threading.Thread(target=server.shutdown, daemon=True)
        signal.signal(signal.SIGUSR1, lambda *_, close=close: close.start())
        server.serve_forever()
    signal.sigwait({signal.SIGUSR2})
