"""How long a warm function takes for one event, what it asks for meanwhile, and how long it waits for whom.

    warm.py --s3 PYTHON --ministack PYTHON --catalog FILE --transform FILE --unglue FILE [--events N] [--list]

Runs in the environment of moto. S3 is SeaweedFS, Glue is moto behind its proxy, the rest is ministack, all on loopback. This program
stands in for the runtime API of Lambda: it hands an event to the function's process and waits for the answer. Requests are seen, and
timed, by forwarders in front of the servers. An event is one new CSV object of 1 MB; `transform` gets what `catalog` has put on the bus.
Beside it: how long the same kinds of requests take by themselves, one after the other.
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import queue
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore.config import Config

REQUEST = re.compile(rb"^(GET|PUT|POST|HEAD|DELETE) (\S+) HTTP/1\.1\r\n")
TARGET = re.compile(rb"\r\nx-amz-target: *(\S+)\r\n", re.IGNORECASE)
LANDING, LAKE, BUS = "landing", "lake", "default"
ROWS = 24_000


@dataclass
class Request:
    """What was asked of whom, and when, in seconds."""

    server: str
    what: str
    begun: float
    ended: float

    def __str__(self) -> str:
        return f"{self.server} {self.what}"


class Forwarder:
    """Passes bytes on, and notes what is asked for."""

    def __init__(self, name: str, url: str, seen: list[Request]) -> None:
        self.name, self.seen = name, seen
        host, port = url.removeprefix("http://").split(":")
        self.to = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(self.to)
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Of this connection: an answer is that to the last request.
            asked: list[Request] = []
            threading.Thread(target=self.copy, args=(client, server, asked, True), daemon=True).start()
            threading.Thread(target=self.copy, args=(server, client, asked, False), daemon=True).start()

    @staticmethod
    def asked(path: bytes) -> str:
        """What a listing is of."""
        found = re.search(rb"[?&]prefix=([^&]*)", path)
        return f" {found[1].decode()}" if found else ""

    def copy(self, source: socket.socket, target: socket.socket, asked: list[Request], is_request: bool) -> None:
        try:
            while piece := source.recv(1 << 16):
                now = time.monotonic()
                if is_request and (found := REQUEST.match(piece)):
                    action = TARGET.search(piece)
                    what = action[1].decode().rsplit(".", 1)[-1] if action else f"{found[1].decode()} {found[2].decode().split('?')[0]}"
                    asked[:] = [Request(self.name, f"{what}{self.asked(found[2])}", now, now)]
                    self.seen.extend(asked)
                elif not is_request and asked:
                    asked[-1].ended = now
                target.sendall(piece)
        except OSError:
            pass
        finally:
            for one in (source, target):
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


class Runtime(http.server.BaseHTTPRequestHandler):
    """The runtime API: an event for each poll, when there is one."""

    protocol_version = "HTTP/1.1"
    # An answer is head and body in two pieces: with Nagle's algorithm, the second waits 40 ms for the receipt of the first.
    disable_nagle_algorithm = True
    # Of one process: the poll of another one that was ended would take its events.
    events: queue.Queue
    answers: queue.Queue

    def do_GET(self) -> None:
        body = json.dumps(self.events.get()).encode()
        self.send_response(200)
        for key, value in {
            "Lambda-Runtime-Aws-Request-Id": str(uuid.uuid4()),
            "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + 300_000),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000000:function:warm",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0) or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b"".join(self.chunks())
        self.answers.put((self.path.rsplit("/", 1)[-1], body, time.monotonic()))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def chunks(self):
        while length := int(self.rfile.readline(), 16):
            yield self.rfile.read(length)
            self.rfile.readline()
        self.rfile.readline()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Bench:
    """The servers, and one function at a time."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments, self.seen = arguments, []
        here = Path(__file__).parent
        self.processes = [
            subprocess.Popen([arguments.s3, here.parent / "s3" / "serve.py", "--bucket", LANDING], stdin=subprocess.PIPE, stdout=subprocess.PIPE),
            subprocess.Popen(
                [sys.executable, here / "servers.py", "--moto", sys.executable, "--ministack", arguments.ministack],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            ),
        ]  # fmt: skip
        s3, aws = (json.loads(process.stdout.readline()) for process in self.processes)
        self.region = aws["region"]
        forward = lambda name, url: Forwarder(name, url, self.seen).url
        self.urls = {"s3": forward("s3", s3["endpoint"]), "glue": forward("glue", aws["glue"]), "aws": forward("aws", aws["aws"])}
        self.keys = {"aws_access_key_id": s3["access_key_id"], "aws_secret_access_key": s3["secret_access_key"]}
        client = lambda name, url: boto3.client(name, endpoint_url=url, region_name=self.region, config=Config(retries={"max_attempts": 1}), **self.keys)
        self.s3, self.glue, self.events, self.sqs, self.sns = (
            client("s3", self.urls["s3"]), client("glue", self.urls["glue"]), *(client(name, self.urls["aws"]) for name in ("events", "sqs", "sns"))
        )  # fmt: skip
        self.running: subprocess.Popen | None = None

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.keys["aws_access_key_id"], "AWS_SECRET_ACCESS_KEY": self.keys["aws_secret_access_key"],
            "AWS_ENDPOINT_URL": self.urls["aws"], "AWS_ENDPOINT_URL_S3": self.urls["s3"], "AWS_ENDPOINT_URL_GLUE": self.urls["glue"],
        }  # fmt: skip

    def prepare(self) -> None:
        self.s3.create_bucket(Bucket=LAKE)
        for database in ("raw", "sales"):
            self.glue.create_database(DatabaseInput={"Name": database})
        self.queue = self.sqs.create_queue(QueueName="transforms")["QueueUrl"]
        self.topic = self.sns.create_topic(Name="told")["TopicArn"]
        self.heard = self.sqs.create_queue(QueueName="heard")["QueueUrl"]
        self.events.put_rule(Name="all", EventPattern=json.dumps({"source": ["unglue"]}))
        arn = self.sqs.get_queue_attributes(QueueUrl=self.heard, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self.events.put_targets(Rule="all", Targets=[{"Id": "heard", "Arn": arn}])
        with tempfile.TemporaryDirectory() as folder:
            sql = Path(folder) / "sql" / "sales" / "orders.sql"
            sql.parent.mkdir(parents=True)
            sql.write_text("SELECT order_id, customer, amount, CAST(ordered_at AS DATE) AS day FROM raw.orders\n")
            command = [self.arguments.unglue, "deploy-sql", "--to", f"s3://{LAKE}/_project/", "--data", f"s3://{LAKE}", "--catalog", "glue", "--project", folder]
            ended = subprocess.run(command, env=self.environment(), capture_output=True, text=True)
            print(ended.stdout + ended.stderr)

    def upload(self, key: str) -> dict:
        """A new object, and the message about it."""
        rows = "".join(f"{number},customer {number % 977},{number % 4999 / 100:.2f},2026-11-{number % 28 + 1:02} 10:00:00\n" for number in range(ROWS))
        etag = self.s3.put_object(Bucket=LANDING, Key=key, Body=("order_id,customer,amount,ordered_at\n" + rows).encode())["ETag"].strip('"')
        size = self.s3.head_object(Bucket=LANDING, Key=key)["ContentLength"]
        self.size = size
        detail = {"version": "0", "bucket": {"name": LANDING}, "object": {"key": key, "size": size, "etag": etag, "sequencer": f"{time.time_ns():018X}"}, "reason": "PutObject"}
        return self.message("Object Created", "aws.s3", detail)

    def message(self, kind: str, source: str, detail: dict) -> dict:
        event = {"version": "0", "id": str(uuid.uuid4()), "detail-type": kind, "source": source, "account": "000000000000", "time": "2026-11-27T12:00:00Z", "region": self.region, "resources": [], "detail": detail}
        return self.queued(json.dumps(event))

    def told(self, kind: str) -> list[dict]:
        """What was put on the bus since the last call, as messages of a queue."""
        bodies = []
        while messages := self.sqs.receive_message(QueueUrl=self.heard, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
            for message in messages:
                bodies.append(message["Body"])
                self.sqs.delete_message(QueueUrl=self.heard, ReceiptHandle=message["ReceiptHandle"])
        return [self.queued(body) for body in bodies if json.loads(body)["detail-type"] == kind]

    def queued(self, body: str) -> dict:
        record = {
            "messageId": str(uuid.uuid4()), "receiptHandle": "r", "body": body, "messageAttributes": {}, "md5OfBody": "",
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1769860801000", "SenderId": "x", "ApproximateFirstReceiveTimestamp": "1769860801500"},
            "eventSource": "aws:sqs", "eventSourceARN": f"arn:aws:sqs:{self.region}:000000000000:arrivals", "awsRegion": self.region,
        }  # fmt: skip
        return {"Records": [record]}

    def function(self, program: Path) -> subprocess.Popen:
        self.runtime = type("OfProcess", (Runtime,), {"events": queue.Queue(), "answers": queue.Queue()})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.runtime)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = {
            "UNGLUE_DATA": f"s3://{LAKE}/", "UNGLUE_LANDING": f"s3://{LANDING}/", "UNGLUE_PROJECT": f"s3://{LAKE}/_project", "UNGLUE_TOPIC_ARN": self.topic,
            "UNGLUE_QUEUE": self.queue, "UNGLUE_DEAD_LETTERS": self.queue, "UNGLUE_EVENT_BUS": BUS, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": "warm", "AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "AWS_LAMBDA_LOG_GROUP_NAME": "warm", "AWS_LAMBDA_LOG_STREAM_NAME": "warm",
        }  # fmt: skip
        return subprocess.Popen([program], env={**self.environment(), **settings}, stdout=subprocess.DEVNULL, stderr=sys.stderr)

    def handle(self, event: dict) -> tuple[float, list[Request]]:
        """Milliseconds until the answer to an event, and the requests meanwhile."""
        self.seen.clear()
        begun = time.monotonic()
        self.runtime.events.put(event)
        kind, body, ended = self.runtime.answers.get(timeout=60)
        if kind != "response" or json.loads(body or b"{}").get("batchItemFailures"):
            raise SystemExit(f"the function failed: {kind} {body.decode()}")
        return (ended - begun) * 1000, list(self.seen)

    def started(self, program: Path, event: dict) -> tuple[float, list[Request]]:
        """The same with a process that starts for it; one that ran before ends."""
        if self.running:
            self.running.kill()
            self.running.wait()
        begun = time.monotonic()
        self.running = self.function(program)
        took, asked = self.handle(event)
        return (time.monotonic() - begun) * 1000, asked

    def close(self) -> None:
        if self.running:
            self.running.kill()

        for process in self.processes:
            process.stdin.close()
            process.wait()


def shown(milliseconds: list[float]) -> str:
    ordered = sorted(milliseconds)
    return f"median {statistics.median(ordered):.0f} ms, p95 {ordered[int(len(ordered) * 0.95)]:.0f} ms of {len(ordered)}"


def waited(asked: list[Request], server: str | None = None) -> float:
    """Milliseconds in which at least one request was under way, to one server or any."""
    total, until = 0.0, 0.0
    for one in sorted(asked, key=lambda one: one.begun):
        if server in (None, one.server) and one.ended > until:
            total += one.ended - max(one.begun, until)
            until = one.ended
    return total * 1000


class Events:
    """Events of one kind: how long they took, and what of it was waiting."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self.asked: list[list[Request]] = []

    def add(self, handled: tuple[float, list[Request]]) -> None:
        self.took.append(handled[0])
        self.asked.append(handled[1])

    def __str__(self) -> str:
        servers = sorted({one.server for asked in self.asked for one in asked})
        for_each = ", ".join(f"{server} {statistics.median(waited(asked, server) for asked in self.asked):.0f}" for server in servers)
        own = statistics.median(took - waited(asked) for took, asked in zip(self.took, self.asked))
        return f"{shown(self.took)} (waiting for {for_each} ms; the rest {own:.0f} ms); {requests(self.asked[-1])}"


def requests(asked: list[Request]) -> str:
    """How many of each kind."""
    kinds = Counter(re.sub(r"(GET|PUT|POST|HEAD|DELETE) /.*", r"\1", str(one)) for one in asked)
    return f"{len(asked)} requests: " + ", ".join(f"{count} {kind}" if count > 1 else kind for kind, count in kinds.items())


def floor(bench: Bench, count: int) -> list[float]:
    """Milliseconds of four requests such as `catalog` makes, by a client of their own."""
    took = []
    for _ in range(count):
        begun = time.monotonic()
        bench.s3.get_object(Bucket=LANDING, Key="raw/orders/0.csv", Range="bytes=0-1023")["Body"].read()
        bench.glue.get_table(DatabaseName="raw", Name="orders")
        bench.s3.get_object(Bucket=LANDING, Key="raw/orders/0.csv", Range="bytes=0-262143")["Body"].read()
        bench.events.put_events(Entries=[{"Source": "warm", "DetailType": "x", "Detail": "{}", "EventBusName": BUS}])
        took.append((time.monotonic() - begun) * 1000)
    return took


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("s3", "ministack", "catalog", "transform", "unglue"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--events", type=int, default=20)
    parser.add_argument("--list", action="store_true", help="name each request of the last event of transform")
    arguments = parser.parse_args()
    bench = Bench(arguments)
    try:
        bench.prepare()
        first, asked = bench.started(arguments.catalog, bench.upload("raw/orders/0.csv"))
        print(f"catalog, first event of the process and of its table: {first:.0f} ms from the start of the process; {requests(asked)}")
        events = Events()
        for number in range(1, arguments.events + 1):
            events.add(bench.handle(bench.upload(f"raw/orders/{number}.csv")))
        print(f"catalog, warm, one object of {bench.size} bytes: {events}")
        for kind, folder in [("known", "day=1"), ("new", "day={}")]:
            bench.handle(bench.upload("raw/by_day/day=1/0.csv"))
            events = Events()
            for number in range(1, arguments.events + 1):
                events.add(bench.handle(bench.upload(f"raw/by_day/{folder.format(1 + number)}/{number}.csv")))
            print(f"catalog, warm, in a {kind} partition: {events}")
        print(f"four requests by themselves: {shown(floor(bench, arguments.events))}")
        updates = [update for update in bench.told("Catalog Updated") if "raw.orders" in json.dumps(update)]
        first, asked = bench.started(arguments.transform, updates[0])
        print(f"transform, first event of the process and of its table: {first:.0f} ms from the start of the process; {requests(asked)}")
        events = Events()
        for update in updates[1:]:
            events.add(bench.handle(update))
        if arguments.list:
            begun = events.asked[-1][0].begun
            print("\n".join(f"{(one.begun - begun) * 1000:6.1f} to {(one.ended - begun) * 1000:6.1f} ms  {one}" for one in events.asked[-1]))
        print(f"transform, warm, the same object appended: {events}")
        bench.started(arguments.catalog, bench.upload("raw/orders/last.csv"))
        first, asked = bench.started(arguments.transform, bench.told("Catalog Updated")[-1])
        print(f"transform, first event of the process, of a known table: {first:.0f} ms from the start of the process; {requests(asked)}")
    finally:
        bench.close()


if __name__ == "__main__":
    main()
