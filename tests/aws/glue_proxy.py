"""A strict proxy before moto's Glue: what the real Glue demands and moto does not.

    glue_proxy.py --upstream http://127.0.0.1:4570 [--port 0] [--page 7] [--reference-latency 20] [--authority URL]

* Pages of GetDatabases, GetTables and GetPartitions; segments and ExcludeColumnSchema of GetPartitions.
* Limits of MaxResults, of batches and of expressions; as many partition values as partition keys; names in lower case.
* UpdateTable with a VersionId that is not the current one is a ConcurrentModificationException.

Where documentation says nothing, this follows what clients of Glue report: a batch above its limit is a ValidationException;
a wrong count of values fails one entry of a batch, and the whole of a call for one partition.

An authority is a ministack with AUTH=true. It is asked first, with the request as it came, and its refusals count, so that the
policies of a template decide about Glue too. It answers from a catalog of its own, which nobody looks at. For it, what a
policy allows on `database/NAME` includes the tables there.

For tests there is also, without signatures:

    POST /_control           {"throttle": {"GetTable": 3}, "fail": {"UpdateTable": {"error": "InternalServiceException"}}}
    GET  /_control/requests  {"GetTable": 4, …}: calls so far, those that were made to fail included
    POST /_control/reset     forgets the counts, the failures that are still due, and everything in the catalog

A failure has the fields `error` (InternalServiceException; null: the call is only late), `times` (1), `after` (false: the call has no
effect; true: it has, only its answer is lost), `entries` (0: the call fails; else the first so many entries of a batch do) and `late`
(0: seconds until the call has an effect).
"""

import argparse
import collections
import functools
import http.client
import http.server
import json
import sys
import threading
import time
import uuid
from urllib.parse import urlsplit

from glue_rules import BATCHES, Call, GlueError

SERVER_FAULTS = ("InternalServiceException", "OperationTimeoutException")
REFUSALS = (
    "AccessDeniedException", "ExpiredTokenException", "IncompleteSignatureException", "InvalidClientTokenId",
    "InvalidSignatureException", "MissingAuthenticationTokenException", "SignatureDoesNotMatch", "UnrecognizedClientException",
)  # fmt: skip


class Failures:
    """Failures that a test asked for, and counts of calls."""

    def __init__(self):
        self.lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forgets everything."""
        with self.lock:
            self.counts = collections.Counter()
            self.due = collections.defaultdict(list)

    def ask(self, wish: dict) -> None:
        """Takes what was posted to `/_control`."""
        if unknown := set(wish) - {"throttle", "fail"}:
            raise ValueError(f"unknown: {sorted(unknown)}")
        throttled = {name: {"error": "ThrottlingException", "times": times} for name, times in wish.get("throttle", {}).items()}
        with self.lock:
            for name, failure in [*throttled.items(), *wish.get("fail", {}).items()]:
                whole = {"error": "InternalServiceException", "times": 1, "after": False, "entries": 0, "late": 0, **failure}
                if len(whole) > 5:
                    raise ValueError(f"unknown field in {failure}")
                if whole["entries"] and name not in BATCHES:
                    raise ValueError(f"{name} has no entries")
                self.due[name] += [whole] * whole["times"]

    def next(self, operation: str) -> dict | None:
        """Counts a call, and says how it is to fail, if it is."""
        with self.lock:
            self.counts[operation] += 1
            due = self.due[operation]
            return due.pop(0) if due else None


class Glue:
    """moto's Glue with the rules of the real one."""

    def __init__(self, upstream: str, page: int | None = None, latency: float = 0.0, authority: str | None = None):
        self.upstream, self.page, self.latency = urlsplit(upstream).netloc, page, latency
        self.authority = urlsplit(authority).netloc if authority else None
        self.failures = Failures()
        # Calls take turns: moto is not made for threads, and comparing a version and then changing it must be one step.
        self.turn = threading.Lock()

    def answer(self, operation: str, request: dict, headers: dict) -> dict:
        """Carries out one call."""
        time.sleep(self.latency)
        failure = self.failures.next(operation)
        if failure:
            time.sleep(failure["late"])
            failure = failure if failure["error"] else None
        if failure and not failure["after"] and not failure["entries"]:
            raise asked_for(failure)
        call = Call(operation, request, functools.partial(self.forward, headers), self.page)
        with self.turn:
            answer = call.with_failing_entries(failure) if failure and failure["entries"] else call.answer()
        if failure and failure["after"]:
            raise asked_for(failure)
        return answer

    def authorize(self, body: bytes, headers: dict) -> None:
        """Refuses what the authority refuses. What was signed must come to it unchanged, the name of this server included."""
        if self.authority:
            _, answer = exchange(self.authority, "/", body, headers)
            code = error_code(answer)
            if code in REFUSALS:
                raise GlueError(code, answer.get("Message") or answer.get("message") or "")

    def forward(self, headers: dict, operation: str, request: dict) -> dict:
        """What moto says; the headers are the client's, as they say account and region."""
        headers = {**headers, "X-Amz-Target": f"AWSGlue.{operation}"}
        status, answer = exchange(self.upstream, "/", json.dumps(request).encode(), headers)
        if status != 200:
            raise GlueError(error_code(answer) or "InternalServiceException", answer.get("Message") or answer.get("message") or "")
        return answer

    def reset(self) -> None:
        """Empties the catalog and forgets what tests asked for."""
        with self.turn:
            self.failures.reset()
            exchange(self.upstream, "/moto-api/reset", b"", {})


def asked_for(failure: dict) -> GlueError:
    """The error of a failure."""
    throttled = failure["error"] == "ThrottlingException"
    return GlueError(failure["error"], "Rate exceeded" if throttled else "asked for by a test")


def error_code(answer: dict) -> str:
    """The code of an answer that is an error, else nothing."""
    return str(answer.get("__type", "")).rpartition("#")[2]


def exchange(host: str, path: str, body: bytes, headers: dict) -> tuple[int, dict]:
    """Posts something to another server."""
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    try:
        return answer.status, json.loads(content or b"{}")
    except ValueError:
        return 500, {"Message": content.decode(errors="replace")[-500:]}


class Handler(http.server.BaseHTTPRequestHandler):
    """The JSON 1.1 protocol, and the control of tests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        if self.path == "/_control/requests":
            self.reply(200, dict(self.server.glue.failures.counts))
        else:
            self.reply(404, {"Message": "no such path"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            if self.path == "/":
                self.call(body)
            elif self.path == "/_control":
                self.reply(200, self.server.glue.failures.ask(json.loads(body)) or {})
            elif self.path == "/_control/reset":
                self.reply(200, self.server.glue.reset() or {})
            else:
                self.reply(404, {"Message": "no such path"})
        except GlueError as error:
            status = 500 if error.code in SERVER_FAULTS else 400
            self.reply(status, {"__type": error.code, "Message": error.message}, {"x-amzn-errortype": error.code})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.reply(400, {"__type": "SerializationException", "Message": repr(error)})

    def call(self, body: bytes) -> None:
        service, _, operation = self.headers.get("X-Amz-Target", "").partition(".")
        if service != "AWSGlue" or not operation:
            raise GlueError("UnknownOperationException", "X-Amz-Target names no operation of Glue")
        self.server.glue.authorize(body, dict(self.headers.items()))
        kept = ("authorization", "content-type", "x-amz-date", "x-amz-security-token")
        headers = {name: value for name, value in self.headers.items() if name.lower() in kept}
        self.reply(200, self.server.glue.answer(operation, json.loads(body or b"{}"), headers))

    def reply(self, status: int, answer: dict, headers: dict | None = None) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, *_) -> None:
        """Says nothing: the counts say it."""


class Server(http.server.ThreadingHTTPServer):
    """Listens on loopback."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, glue: Glue, port: int = 0):
        super().__init__(("127.0.0.1", port), Handler)
        self.glue = glue
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", required=True, help="where moto listens")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (any free one)")
    parser.add_argument("--page", type=int, help="no page is longer than this")
    parser.add_argument("--reference-latency", type=float, default=0.0, metavar="MS", help="every call takes so much longer")
    parser.add_argument("--authority", metavar="URL", help="a ministack that decides who may do what")
    arguments = parser.parse_args()
    glue = Glue(arguments.upstream, arguments.page, arguments.reference_latency / 1000, arguments.authority)
    server = Server(glue, arguments.port)
    print(json.dumps({"glue": server.url}), flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
