"""Many small objects on an S3 server, as it is and with latency added to each request, and the same rows in few objects.

    latency.py --s3 PYTHON --unglue FILE [--objects 3000] [--milliseconds 30]

Runs in the environment of moto, which has boto3. The server is SeaweedFS on loopback (`tests/s3/serve.py`), behind a forwarder that holds each
request up before it passes it on. Each run starts from an empty table: all objects are listed, claimed, read, written.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3

REQUEST = re.compile(rb"^(GET|PUT|POST|HEAD|DELETE) ")
HEAD = "order_id,customer,amount,ordered_at\n"
ROWS = "".join(f"{n},customer {n % 977},{n % 4999 / 100:.2f},2026-11-{n % 28 + 1:02} 10:00:00\n" for n in range(2250))
SQL = "SELECT order_id, customer, amount, ordered_at FROM raw.orders\n"
FEW = 10


class Forwarder:
    """Passes bytes on; each request later."""

    def __init__(self, url: str) -> None:
        self.seconds, self.requests = 0.0, 0
        self.to = url.removeprefix("http://").split(":")
        self.port = 0
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.serve(ready)), daemon=True).start()
        ready.wait()
        self.url = f"http://127.0.0.1:{self.port}"

    async def serve(self, ready: threading.Event) -> None:
        server = await asyncio.start_server(self.accept, "127.0.0.1", 0, limit=1 << 20)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await server.serve_forever()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to, back = await asyncio.open_connection(*self.to, limit=1 << 20)
        await asyncio.gather(self.copy(reader, back, is_request=True), self.copy(to, writer, is_request=False))

    async def copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, is_request: bool) -> None:
        try:
            while piece := await source.read(1 << 20):
                if is_request and REQUEST.match(piece):
                    self.requests += 1
                    if self.seconds:
                        await asyncio.sleep(self.seconds)
                target.write(piece)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--s3", type=Path, required=True)
    parser.add_argument("--unglue", type=Path, required=True)
    parser.add_argument("--objects", type=int, default=3000)
    parser.add_argument("--milliseconds", type=float, default=30)
    arguments = parser.parse_args()
    serve = Path(__file__).parent.parent / "tests" / "s3" / "serve.py"
    server = subprocess.Popen([arguments.s3, serve, "--bucket", "many"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        ready = json.loads(server.stdout.readline())
        measure(arguments, ready, Forwarder(ready["endpoint"]))
    finally:
        server.stdin.close()
        server.wait()


def measure(arguments: argparse.Namespace, ready: dict, forwarder: Forwarder) -> None:
    keys = {"aws_access_key_id": ready["access_key_id"], "aws_secret_access_key": ready["secret_access_key"]}
    s3 = boto3.client("s3", endpoint_url=ready["endpoint"], region_name=ready["region"], **keys)
    s3.create_bucket(Bucket="few")
    put = lambda bucket, name, text: s3.put_object(Bucket=bucket, Key=f"raw/orders/{name}.csv", Body=text.encode())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: put("many", f"{n:05}", HEAD + ROWS), range(arguments.objects)))
        list(pool.map(lambda n: put("few", n, HEAD + ROWS * (arguments.objects // FEW)), range(FEW)))
    environment = {
        "PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "AWS_ENDPOINT_URL_S3": forwarder.url, "AWS_REGION": ready["region"],
        "AWS_ACCESS_KEY_ID": ready["access_key_id"], "AWS_SECRET_ACCESS_KEY": ready["secret_access_key"],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for number, (bucket, objects) in enumerate([("few", FEW), ("many", arguments.objects)] * 2):
            forwarder.seconds = arguments.milliseconds / 1000 if number > 1 else 0
            # A table of its own, so that all objects are new to it.
            project = Path(folder) / str(number)
            sql = project / "sql" / "sales" / f"orders_{number}.sql"
            sql.parent.mkdir(parents=True)
            sql.write_text(SQL)
            before, begun = forwarder.requests, time.monotonic()
            ended = subprocess.run(
                [arguments.unglue, "run", "--project", project, "--data", f"s3://{bucket}"], env=environment, capture_output=True, text=True, check=False
            )
            seconds = time.monotonic() - begun
            if ended.returncode:
                sys.exit(ended.stderr)
            delay = f"{forwarder.seconds * 1000:.0f} ms more a request"
            print(f"{objects} objects, {delay}: {seconds:.1f} s, {forwarder.requests - before} requests", flush=True)


if __name__ == "__main__":
    main()
