"""Checks that the server of serve.py keeps what the engine builds on: a conditional PUT is won by exactly one of many
writers, wrong credentials are refused, and the server ends with its starter.

    python tests/s3/selftest.py
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import signature

WRITERS = 16


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.json"
        began = time.monotonic()
        server = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "serve.py"), "--ready-file", str(ready)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        server.stdout.readline()
        s3 = json.loads(ready.read_text())
        print(f"server ready after {time.monotonic() - began:.1f} s")
        outcomes = [
            expect("first conditional PUT", put(s3, "one", b"first"), 200),
            expect("second conditional PUT", put(s3, "one", b"second"), 412),
            expect("wrong secret", put({**s3, "secret_access_key": "wrong"}, "two", b""), 403),
            expect(f"{WRITERS} racing conditional PUTs: winners", race(s3), 1),
        ]
        began = time.monotonic()
        server.stdin.close()
        outcomes.append(expect("exit code after its input closed", server.wait(timeout=20), 0))
        outcomes.append(expect("server still answers", answers(s3["endpoint"]), False))
        print(f"server stopped after {time.monotonic() - began:.1f} s")
    print(f"s3: {sum(outcomes)} passed, {len(outcomes) - sum(outcomes)} failed")
    return 0 if all(outcomes) else 1


def put(s3: dict, key: str, body: bytes) -> int:
    """Status of a PUT that may only create."""
    request = signature.signed(
        "PUT", f"{s3['endpoint']}/{s3['bucket']}/{key}", s3["region"], s3["access_key_id"], s3["secret_access_key"],
        body, {"If-None-Match": "*"},
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def race(s3: dict) -> int:
    """How many of several writers that create one object at once are told that they did."""
    gate, statuses = threading.Barrier(WRITERS), []

    def write(number: int) -> None:
        gate.wait()
        statuses.append(put(s3, "raced", os.urandom(1000) + bytes([number])))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    return statuses.count(200)


def answers(endpoint: str) -> bool:
    """Whether anything listens."""
    try:
        urllib.request.urlopen(endpoint, timeout=2)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def expect(what: str, found: object, wanted: object) -> bool:
    """Prints and returns whether a value is as it should be."""
    print(f"{'ok  ' if found == wanted else 'FAIL'} {what}: {found}" + ("" if found == wanted else f", not {wanted}"))
    return found == wanted


if __name__ == "__main__":
    sys.exit(main())
