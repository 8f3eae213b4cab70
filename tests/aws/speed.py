"""Times and requests of the deployed chain, beside those of the emulator by itself. Called by deployed.py with `--speed N`."""

from __future__ import annotations

import json
import os
import re
import statistics
import time
import typing
import urllib.request
from collections import Counter
from pathlib import Path

import chain_selftest
from selftest import expect

if typing.TYPE_CHECKING:
    from deployed import Deployed

# What ministack writes down of each request.
REQUEST = re.compile(r"\b(GET|PUT|POST|HEAD|DELETE) (/\S*) -> service=(\S+)")
# Hops of the chain: catalog, transform, notify.
HOPS = 3


def measure(deployed: Deployed, requests: Path) -> list[bool]:
    """Seconds from the upload to the message for people, which comes after the rows are visible; and what that took of each
    service."""
    count = deployed.arguments.speed
    floors = empty_chain(deployed)
    floor = times(count, lambda number: hop(deployed, floors, number))
    singles = times(count, lambda number: single(deployed, number))
    print(f"an object to a function that does nothing: {percentiles(floor)}; the chain has {HOPS} such hops")
    print(f"an object to its message: {percentiles(singles)}")
    print(f"ratio of the medians to {HOPS} hops: {statistics.median(singles) / (HOPS * statistics.median(floor)):.2f}")
    print(f"requests of an object, the chain downstream included: {asked_for_one(deployed, requests)}")
    for queue in (deployed.heard, deployed.overheard):
        deployed.chain.drain(queue)
    begun = time.monotonic()
    outcomes = deployed.burst()
    # `settle` waits four seconds for silence.
    print(f"burst of {deployed.arguments.burst}, until nothing is left to do: {time.monotonic() - begun - 4:.1f} s")
    visible, told = of_burst(deployed)
    print(f"an object of the burst, from its upload until its rows are visible: {percentiles(visible)}")
    print(f"and to a message about its run alone, the others being in digests: {percentiles(told)}")
    outcomes.append(expect("objects of the burst that are visible", len(visible), deployed.arguments.burst))
    return [*outcomes, expect("all were told", len(singles), count)]


def of_burst(deployed: Deployed) -> tuple[list[float], list[float]]:
    """Seconds of each object of the burst until its run's event, which is sent when the rows are visible, and until the message for
    people. S3 says when an object came, in whole seconds."""
    sent = lambda message: int(message["Attributes"]["SentTimestamp"]) / 1000
    bucket = deployed.outputs["Landing"]
    pages = deployed.chain.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="raw/orders/burst/")
    uploaded = {f"s3://{bucket}/{item['Key']}": item["LastModified"].timestamp() for page in pages for item in page["Contents"]}
    mails = deployed.chain.drain(deployed.heard)
    visible, told = {}, {}
    for message in deployed.chain.drain(deployed.overheard):
        event = json.loads(message["Body"])
        receipt = event["detail"].get("receipt", {})
        if event["detail-type"] != "Transform Succeeded" or receipt["transform"] != "sales.orders":
            continue
        of_run = [sent(mail) for mail in mails if receipt["run_id"] in mail["Body"]]
        for one in receipt["inputs"]:
            if one["object"] in uploaded:
                visible[one["object"]] = sent(message) - uploaded[one["object"]]
                told.update({one["object"]: min(of_run) - uploaded[one["object"]]} if of_run else {})
    return sorted(visible.values()), sorted(told.values())


def times(count: int, step: typing.Callable[[int], float]) -> list[float]:
    return sorted(step(number) for number in range(count))


def percentiles(seconds: list[float]) -> str:
    if not seconds:
        return "none"
    at = lambda share: seconds[min(len(seconds) - 1, int(len(seconds) * share))]
    return f"p50 {at(0.5):.2f} s, p95 {at(0.95):.2f} s, of {len(seconds)}"


def single(deployed: Deployed, number: int) -> float:
    """One object through an idle chain."""
    deployed.settle()
    deployed.chain.drain(deployed.heard)
    begun = time.monotonic()
    deployed.send({f"raw/orders/single-{number}.csv": rows_of(deployed, 20)})
    while not any("sales.orders" in message["Subject"] for message in deployed.chain.notifications(deployed.heard)):
        time.sleep(0.02)
    return time.monotonic() - begun


def rows_of(deployed: Deployed, count: int) -> bytes:
    lines = [f"{id},{amount},{at}" for id, amount, at in deployed.order_rows(count)]
    return "\n".join(["id,amount,at", *lines, ""]).encode()


## The emulator by itself


def empty_chain(deployed: Deployed) -> dict:
    """Bucket, rule, queue, and a function that writes down what it is given."""
    folder = deployed.folder / "floor"
    folder.mkdir()
    outputs = chain_selftest.deploy(deployed.chain, Path(os.path.abspath(deployed.arguments.sam)), folder)
    return {"bucket": outputs["Landing"], "trace": folder / "trace"}


def hop(deployed: Deployed, floor: dict, number: int) -> float:
    """From an upload to the function's being called."""
    begun = time.monotonic()
    deployed.chain.upload(floor["bucket"], {f"raw/{number}.csv": b"x"})
    while not (floor["trace"].exists() and f"raw/{number}.csv" in floor["trace"].read_text()):
        time.sleep(0.02)
    return time.monotonic() - begun


## Requests


def asked_for_one(deployed: Deployed, requests: Path) -> str:
    """What an object takes of S3, Glue and SNS, until nothing is left to do. The test's own upload is not counted; of queues and
    events, which it asks about all the time, nothing is."""
    deployed.settle()
    glue, start = asked_of_glue(deployed), requests.stat().st_size
    single(deployed, -1)
    deployed.settle()
    with requests.open("rb") as log:
        log.seek(start)
        found = REQUEST.findall(log.read().decode(errors="replace"))
    if deployed.arguments.keep_logs:
        deployed.arguments.keep_logs.mkdir(parents=True, exist_ok=True)
        lines = [f"{method} {path}" for method, path, service in found if service == "s3"]
        (deployed.arguments.keep_logs / "s3.txt").write_text("\n".join(lines) + "\n")
    counts = Counter(f"{service} {method}" for method, path, service in found if service in ("s3", "sns"))
    counts["s3 PUT"] -= 1
    told = {**dict(sorted(counts.items())), **{f"glue {name}": number for name, number in (asked_of_glue(deployed) - glue).items()}}
    return json.dumps(told)


def asked_of_glue(deployed: Deployed) -> Counter:
    with urllib.request.urlopen(deployed.chain.servers["glue"] + "/_control/requests") as answer:
        return Counter(json.load(answer))
