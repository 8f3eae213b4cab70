"""Servers of AWS on loopback for tests: moto behind the strict proxy for Glue, and ministack for everything else.

    servers.py [--moto PYTHON] [--ministack PYTHON] [--auth] [--page N] [--reference-latency MS] [--requests FILE]

`PYTHON` is the interpreter of an environment that has the server; only what is given is started. Once all of it answers, one
line is printed:

    {"region": "us-east-1", "access_key_id": "test", "secret_access_key": "test", "account": "000000000000",
     "glue": "http://127.0.0.1:40123", "moto": "http://127.0.0.1:40124", "aws": "http://127.0.0.1:40125"}

`glue` is the proxy, `aws` is ministack. The servers stop when standard input closes, so that a test that dies never leaves one
behind, and on SIGTERM. With `--auth`, ministack checks signatures and policies, and the proxy asks it about calls of Glue. Lambda
functions inherit ministack's environment, so that has nothing of ours but PATH. `--requests` has ministack write down what it is asked.
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
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import glue_proxy

REGION, ACCOUNT, KEY = "us-east-1", "000000000000", "test"
PATIENCE = 60.0
ATTEMPTS = 10
GRACE = 5.0


class NotStarted(Exception):
    """A server that ended or did not answer in time."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moto", type=interpreter, metavar="PYTHON", help="interpreter that has moto")
    parser.add_argument("--ministack", type=interpreter, metavar="PYTHON", help="interpreter that has ministack")
    parser.add_argument("--auth", action="store_true", help="ministack checks signatures and policies")
    parser.add_argument("--page", type=int, help="no page of the Glue catalog is longer than this")
    parser.add_argument("--reference-latency", type=float, default=0.0, metavar="MS", help="Glue takes so much longer")
    parser.add_argument("--requests", type=Path, metavar="FILE", help="ministack's log goes there, with a line for each request")
    arguments = parser.parse_args()
    if not (arguments.moto or arguments.ministack):
        parser.error("nothing to start: give --moto or --ministack")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    with contextlib.ExitStack() as stack:
        ready = {"region": REGION, "access_key_id": KEY, "secret_access_key": KEY, "account": ACCOUNT}
        try:
            if arguments.ministack:
                ready["aws"] = stack.enter_context(server("ministack", arguments.ministack, ministack, arguments.requests, auth=arguments.auth))
            if arguments.moto:
                ready["moto"] = stack.enter_context(server("moto", arguments.moto, moto))
                authority = ready.get("aws") if arguments.auth else None
                latency = arguments.reference_latency / 1000
                proxy = glue_proxy.Server(glue_proxy.Glue(ready["moto"], arguments.page, latency, authority))
                threading.Thread(target=proxy.serve_forever, daemon=True).start()
                ready["glue"] = proxy.url
        except NotStarted as error:
            print(f"servers.py: {error}", file=sys.stderr)
            return 1
        print(json.dumps(ready), flush=True)
        sys.stdin.buffer.read()
    return 0


def interpreter(name: str) -> str:
    """Absolute path of an interpreter; links are not followed, as they make the environment."""
    found = shutil.which(name)
    if found is None:
        raise argparse.ArgumentTypeError(f"no such program: {name}")
    return os.path.abspath(found)


def moto(python: str, port: int, folder: Path) -> tuple[list[str], dict[str, str], str]:
    """Command, environment and path of health of moto."""
    command = [python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    return command, {"MOTO_ACCOUNT_ID": ACCOUNT}, "/moto-api/data.json"


def ministack(python: str, port: int, folder: Path, auth: bool) -> tuple[list[str], dict[str, str], str]:
    """Command, environment and path of health of ministack."""
    environment = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        # It replaces what a function has in its own environment.
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        # They listen on fixed ports.
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
    }
    return [python, "-m", "ministack"], {**environment, **({"AUTH": "true"} if auth else {})}, "/_ministack/health"


@contextlib.contextmanager
def server(name: str, python: str, recipe, requests: Path | None = None, **options) -> Iterator[str]:
    """A running server: its URL. It keeps nothing, but for the log of requests that is asked for."""
    with tempfile.TemporaryDirectory(prefix=f"unglue-{name}-", ignore_cleanup_errors=True) as folder:
        for attempt in range(ATTEMPTS):
            with reserved_port() as port:
                command, environment, health = recipe(python, port, Path(folder), **options)
                log = requests or Path(folder) / "server.log"
                if requests:
                    environment["LOG_LEVEL"] = "DEBUG"
                process = start(command, environment, Path(folder), log)
                try:
                    if answers(process, f"http://127.0.0.1:{port}{health}"):
                        yield f"http://127.0.0.1:{port}"
                        return
                finally:
                    stop(process)
        raise NotStarted(f"{name} did not start in {ATTEMPTS} attempts:\n{log.read_text(errors='replace')[-4000:]}")


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """A port that is free for TCP; its UDP side is held, so that no other process that runs this gets the same one."""
    while True:
        with socket.socket(type=socket.SOCK_DGRAM) as held:
            held.bind(("127.0.0.1", 0))
            port = held.getsockname()[1]
            with socket.socket() as probe:
                free = probe.connect_ex(("127.0.0.1", port)) != 0
            if free:
                yield port
                return


def start(command: list[str], environment: dict[str, str], folder: Path, log: Path) -> subprocess.Popen:
    """Starts a server as the leader of its own group; it ends with this process, however this one ends."""
    clean = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "TMPDIR": str(folder)}
    with log.open("wb") as out:
        return subprocess.Popen(
            command, cwd=folder, env={**clean, **environment}, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True, preexec_fn=end_with_parent,
        )  # fmt: skip


def end_with_parent() -> None:
    """Runs in the child: Linux asks it to end when its parent is gone, even if the parent was killed."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, signal.SIGTERM)


def answers(process: subprocess.Popen, url: str) -> bool:
    """Waits until the server answers; `False` if it ended or patience did."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            with urllib.request.urlopen(url, timeout=5):
                return process.poll() is None
        time.sleep(0.1)
    return False


def stop(process: subprocess.Popen) -> None:
    """Ends a server and all that it started."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    sys.exit(main())
