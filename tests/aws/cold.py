"""How long a function's process takes from its start to its first request for an event, beside a process that does nothing.

    cold.py .aws-sam/build/Catalog/bootstrap .aws-sam/build/Transform/bootstrap .aws-sam/build/Notify/bootstrap

Stands in for the runtime API of Lambda: it takes the first poll and says how long that took to come. What Lambda itself needs
before it starts a process is not in it.
"""

from __future__ import annotations

import http.server
import os
import statistics
import subprocess
import sys
import threading
import time

ROUNDS = 10
# What the template sets; nothing is requested before an event comes.
SETTINGS = {
    "UNGLUE_DATA": "s3://lake/", "UNGLUE_LANDING": "s3://landing/", "UNGLUE_PROJECT": "s3://lake/_unglue_project",
    "UNGLUE_TOPIC_ARN": "arn:aws:sns:eu-central-1:111122223333:unglue",
    "UNGLUE_QUEUE": "http://127.0.0.1:9/queue", "UNGLUE_DEAD_LETTERS": "http://127.0.0.1:9/dead",
    "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_LAMBDA_FUNCTION_NAME": "cold", "AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
    "AWS_LAMBDA_LOG_GROUP_NAME": "cold", "AWS_LAMBDA_LOG_STREAM_NAME": "cold",
}  # fmt: skip


class Poll(http.server.BaseHTTPRequestHandler):
    """Takes a request of the runtime, and never answers."""

    came = threading.Event()

    def do_GET(self) -> None:
        Poll.came.set()
        time.sleep(5)

    def log_message(self, format: str, *args: object) -> None:
        pass


def first_poll(program: str, port: int) -> float:
    """Seconds from the start of a program to its first poll."""
    Poll.came.clear()
    environment = {**SETTINGS, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}", "PATH": os.environ["PATH"]}
    begun = time.monotonic()
    process = subprocess.Popen([program], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        if not Poll.came.wait(10):
            process.kill()
            raise SystemExit(f"{program} did not ask for an event: {process.stderr.read().decode()}")
        return time.monotonic() - begun
    finally:
        process.kill()
        process.wait()


def nothing() -> float:
    begun = time.monotonic()
    subprocess.run(["true"], check=True)
    return time.monotonic() - begun


def main() -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Poll)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    shown = lambda seconds: f"median {statistics.median(seconds) * 1000:.0f} ms, most {max(seconds) * 1000:.0f} ms of {len(seconds)}"
    print(f"true: {shown([nothing() for _ in range(ROUNDS)])}")
    for program in sys.argv[1:]:
        print(f"{program}: {shown([first_poll(program, server.server_port) for _ in range(ROUNDS)])}")


if __name__ == "__main__":
    main()
