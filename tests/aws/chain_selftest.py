"""Checks what chain.py does and what the tests of the chain take for granted about ministack, with a function in Python in
the place of the Rust ones; known gaps of ministack are checked as well, so that their end is noticed.

    .venv-moto/bin/python tests/aws/chain_selftest.py --ministack PYTHON --sam PYTHON [--duckdb PYTHON]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from chain import PART, Chain, differences
from selftest import expect, partition, running

KEYS = ["raw/day=2026-01-01/one.csv", "raw/a b+c/ä%20=ü&.csv", "raw/many.parquet", "raw/poison.csv"]

# A bootstrap that writes down the keys it is given and fails those that are poison; asked for facts, it tells them.
STUB = """#!{python}
import json, os, urllib.request
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(api + "next") as answer:
        request, event = answer.headers["Lambda-Runtime-Aws-Request-Id"], json.load(answer)
    if "facts" in event:
        layer = os.path.exists("/opt/sql/layer.sql")
        result = {{"folder": os.getcwd(), "files": os.listdir(), "layer": layer, "environment": dict(os.environ)}}
    else:
        keys = {{one["messageId"]: json.loads(one["body"])["detail"]["object"]["key"] for one in event["Records"]}}
        with open(os.environ["TRACE"], "a") as trace:
            trace.write(json.dumps(list(keys.values())) + "\\n")
        result = {{"batchItemFailures": [{{"itemIdentifier": id}} for id, key in keys.items() if "poison" in key]}}
    urllib.request.urlopen(urllib.request.Request(api + request + "/response", json.dumps(result).encode())).close()
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ministack", required=True, metavar="PYTHON", help="interpreter that has ministack")
    parser.add_argument("--sam", required=True, metavar="PYTHON", help="interpreter beside which `sam` lies")
    parser.add_argument("--duckdb", metavar="PYTHON", help="interpreter that has DuckDB: checks the comparison of tables too")
    arguments = parser.parse_args()
    flags = ("--moto", sys.executable, "--ministack", arguments.ministack, "--page", "7", "--auth")
    with tempfile.TemporaryDirectory(prefix="unglue-chain-") as name, running(*flags) as servers:
        folder, chain = Path(name), Chain(servers)
        outputs = deploy(chain, Path(os.path.abspath(arguments.sam)), folder)
        outcomes = function(chain, outputs, servers)
        outcomes += arrivals(chain, outputs, folder / "trace")
        outcomes += topic(chain, outputs)
        outcomes += tables(chain, folder, arguments.duckdb)
    print(f"chain: {sum(outcomes)} passed, {len(outcomes) - sum(outcomes)} failed")
    return 0 if all(outcomes) else 1


def deploy(chain: Chain, sam: Path, folder: Path) -> dict[str, str]:
    """The small stack with the stub as its function."""
    code = folder / "stub"
    (folder / "layer" / "sql").mkdir(parents=True)
    (folder / "layer" / "sql" / "layer.sql").write_text("SELECT 1")
    (code / "sql").mkdir(parents=True)
    (code / "sql" / "own.sql").write_text("SELECT 2")
    (code / "bootstrap").write_text(STUB.format(python=sys.executable))
    (code / "bootstrap").chmod(0o755)
    template = Path(__file__).with_suffix(".yaml")
    return chain.deploy(
        sam, template, folder, "small", {"Stub": code},
        {"AWS_ENDPOINT_URL_GLUE": chain.servers["glue"]}, {"Trace": str(folder / "trace")},
    )  # fmt: skip


def function(chain: Chain, outputs: dict, servers: dict) -> list[bool]:
    """What a function finds around it."""
    answer = chain.functions.invoke(FunctionName=outputs["Stub"], Payload=b'{"facts": true}')
    facts = json.load(answer["Payload"])
    found = facts["environment"]
    return [
        expect("files of the package lie in the working directory", sorted(facts["files"]), ["bootstrap", "sql"]),
        expect("LAMBDA_TASK_ROOT is the working directory", found["LAMBDA_TASK_ROOT"], facts["folder"]),
        expect("AWS_ENDPOINT_URL_GLUE is what the harness gave", found["AWS_ENDPOINT_URL_GLUE"], servers["glue"]),
        expect("AWS_ENDPOINT_URL is ministack", found["AWS_ENDPOINT_URL"], servers["aws"]),
        expect("credentials of a role", bool(found["AWS_SESSION_TOKEN"]), True),
        expect("known gap: layers are not unpacked", facts["layer"], False),
    ]


def arrivals(chain: Chain, outputs: dict, trace: Path) -> list[bool]:
    """Objects reach the function, the poison alone ends as a dead letter, and nothing else is left."""
    large = os.urandom(PART + 1)
    chain.upload(outputs["Landing"], {key: large if key.endswith(".parquet") else b"x" for key in [*KEYS, "other/no.csv"]})
    chain.settle()
    seen = [key for line in trace.read_text().splitlines() for key in json.loads(line)]
    dead = [json.loads(one["Body"])["detail"]["object"]["key"] for one in sum(chain.dead_letters().values(), [])]
    return [
        expect("each key arrived as it is, the poison twice", sorted(seen), sorted([*KEYS, "raw/poison.csv"])),
        expect("dead letters", dead, ["raw/poison.csv"]),
        expect("dead letters after they were read", chain.dead_letters(), {}),
    ]


def topic(chain: Chain, outputs: dict) -> list[bool]:
    """What is published is heard, by whoever is to hear it."""
    everything = chain.listen(outputs["Topic"], "everything")
    failures = chain.listen(outputs["Topic"], "failures", {"outcome": ["failed"]})
    for outcome in ("succeeded", "failed"):
        attributes = {"outcome": {"DataType": "String", "StringValue": outcome}}
        chain.sns.publish(TopicArn=outputs["Topic"], Subject="a run", Message=outcome, MessageAttributes=attributes)
    chain.settle(heard=[everything, failures], quiet=1)
    return [
        expect("all notifications", sorted(one["Message"] for one in chain.notifications(everything)), ["failed", "succeeded"]),
        expect("filtered", [one["Message"] for one in chain.notifications(failures)], ["failed"]),
    ]


def tables(chain: Chain, folder: Path, duckdb: str | None) -> list[bool]:
    """Tables are found in all pages, and compared."""
    outcomes = [expect("databases of the template", chain.mirror_databases(), ["shop"])]
    keys = [{"Name": "day", "Type": "string"}, {"Name": "hour", "Type": "string"}]
    described = {"Name": "orders", "PartitionKeys": keys, "StorageDescriptor": {"Location": "s3://lake/shop/orders/"}}
    chain.glue.create_table(DatabaseName="shop", TableInput=described)
    entries = [partition(number) for number in range(20)]
    chain.glue.batch_create_partition(DatabaseName="shop", TableName="orders", PartitionInputList=entries)
    found = chain.tables("shop")["orders"]["Partitions"]
    outcomes.append(expect("partitions over all pages", len(found), 20))
    if duckdb:
        written = folder / "a.parquet"
        query = f"COPY (SELECT 1 AS id, 'a' AS name UNION ALL SELECT 2, 'b') TO '{written}' (FORMAT parquet)"
        subprocess.run([duckdb, "-c", f"import duckdb; duckdb.sql({query!r})"], check=True)
        chain.s3.create_bucket(Bucket="lake")
        chain.upload("lake", {"shop/orders/3/a.parquet": written.read_bytes(), "shop/orders/3/_SUCCESS": b"x"})
        outcomes.append(expect("files of the table", chain.download("shop", "orders", folder / "orders"), 1))
        outcomes.append(expect("equal tables", differences(Path(duckdb), str(written), f"{folder}/orders/**/*.parquet"), []))
        twice = differences(Path(duckdb), str(written), f"{folder}/**/*.parquet")
        outcomes.append(expect("a table with rows too many", [line.partition(",")[0] for line in twice[:1]], ["2 row(s) too many"]))
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
