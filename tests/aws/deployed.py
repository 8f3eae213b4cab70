"""The real template with the built functions on the emulators: objects go in, and the tables, the catalog, the messages and the
dead letters are what they should be; then everything is sent twice more, out of order, and nothing changes.

    .venv-moto/bin/python tests/aws/deployed.py --ministack PYTHON --sam PYTHON --duckdb PYTHON --binaries DIR --unglue FILE
"""

import argparse
import contextlib
import datetime
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import odd
import speed
from chain import Chain
from rows import columns, difference, orders_csv
from selftest import expect, running

# In the environment of sam, which has jsonschema.
VALIDATE = """
import json, sys, pathlib, jsonschema
wrong = []
for event in json.load(open(sys.argv[1])):
    name = event["detail-type"].lower().replace(" ", "-") + ".schema.json"
    schema = json.loads((pathlib.Path(sys.argv[2]) / name).read_text())
    errors = jsonschema.Draft202012Validator(schema).iter_errors(event["detail"])
    wrong += [f"{name}: {error.json_path}: {error.message[:200]}" for error in errors]
print(json.dumps(wrong[:5]))
"""
FUNCTIONS = {"Catalog": "catalog", "Transform": "transform", "Notify": "notify"}
PROJECT = {
    "sql/sales/orders.sql": "-- @partition: day\nSELECT id, amount, CAST(at AS DATE) AS day FROM raw.orders\n",
    "sql/sales/visits.sql": "-- @write: merge\n-- @key: id\nSELECT id, page FROM raw.visits\n",
    "sql/marts/daily.sql": "SELECT day, count(*) AS orders, sum(amount) AS total FROM sales.orders GROUP BY day\n",
}
ROWS = """
import json, sys, duckdb
rows = duckdb.sql(f"SELECT * FROM read_parquet('{sys.argv[1]}/**/*.parquet', hive_partitioning = true, union_by_name = true)")
print(json.dumps([rows.columns, rows.fetchall()], default=str))
"""
PARQUET = """
import sys, duckdb
duckdb.sql(f"COPY (SELECT i AS id, 'page ' || i || repeat(md5(i::VARCHAR), 40) AS page FROM range({sys.argv[2]}) t(i)) "
           f"TO '{sys.argv[1]}' (FORMAT parquet, COMPRESSION uncompressed)")
"""
# Permissions, by action or by the statement's name, that this step never asks for: each with the reason.
UNUSED = {
    "WriteLog": "the emulator writes logs itself",
    "SetAside": "only for poison",
    "sqs:ReceiveMessage": "the emulator reads queues by itself",
    "sqs:DeleteMessage": "the emulator reads queues by itself",
    "sqs:GetQueueAttributes": "the emulator reads queues by itself",
    "sqs:ChangeMessageVisibility": "without it messages come again later",
    "s3:GetObjectVersion": "only where the landing bucket has versions",
    "s3:AbortMultipartUpload": "only for a run that was overtaken",
    "s3:DeleteObject": "only for a run that was overtaken",
    "glue:GetDatabase": "only once in the life of a process",
    "glue:UpdateTable": "only for a table that changes",
    "glue:BatchUpdatePartition": "only for a partition that moves",
    "glue:BatchDeletePartition": "only for a partition that goes",
    "glue:CreateTable": "only for a table that is new",
    "Catalog glue:GetDatabases": "only for a table that is new",
    "Catalog glue:GetTables": "only for a table that is new",
    "Catalog glue:GetPartitions": "only for a source with partitions",
    "Catalog glue:BatchGetPartition": "only for a source with partitions",
    "Catalog glue:BatchCreatePartition": "only for a source with partitions",
}
# One permission of each function, without which the chain must stop; the rest of them with --every-permission.
REQUIRED = [("Catalog", "events:PutEvents"), ("Transform", "glue:BatchCreatePartition"), ("Notify", "sns:Publish")]
# Seconds after which what could go on would have gone on.
STOPPED = 6
BURST = 300
VISITS = 5000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ministack", required=True, metavar="PYTHON", help="interpreter that has ministack")
    parser.add_argument("--sam", required=True, metavar="PYTHON", help="interpreter beside which `sam` lies")
    parser.add_argument("--duckdb", required=True, metavar="PYTHON", help="interpreter that has DuckDB")
    code = parser.add_mutually_exclusive_group(required=True)
    code.add_argument("--binaries", type=Path, metavar="DIR", help="where cargo has built the functions")
    code.add_argument("--built", type=Path, metavar="DIR", help="where `sam build` has built them: .aws-sam/build")
    parser.add_argument("--unglue", required=True, type=Path, metavar="FILE", help="the program")
    parser.add_argument("--burst", type=int, default=BURST, help="objects of the burst")
    parser.add_argument("--patience", type=float, default=600, help="seconds after which messages that are still under way are a failure")
    parser.add_argument("--batch-window", default="1", help="seconds that queues gather messages, at least 1")
    parser.add_argument("--every-permission", action="store_true", help="takes each permission away in turn, not one of each function")
    parser.add_argument("--speed", type=int, metavar="N", help="instead of the checks: times N single objects, then a burst")
    parser.add_argument("--keep-logs", type=Path, help="where the logs of the functions are written")
    arguments = parser.parse_args()
    flags = ["--moto", sys.executable, "--ministack", arguments.ministack, "--page", "70", "--auth"]
    with tempfile.TemporaryDirectory(prefix="unglue-deployed-") as name, contextlib.ExitStack() as stack:
        requests = Path(name) / "requests.log"
        servers = stack.enter_context(running(*flags, *(("--requests", str(requests)) if arguments.speed else ())))
        deployed = Deployed(arguments, Path(name), servers)
        try:
            outcomes = speed.measure(deployed, requests) if arguments.speed else deployed.check()
        finally:
            if arguments.keep_logs:
                deployed.write_logs(arguments.keep_logs)
    print(f"deployed: {sum(outcomes)} passed, {len(outcomes) - sum(outcomes)} failed")
    return 0 if all(outcomes) else 1


class Deployed:
    """The stack, and what was sent to it."""

    def __init__(self, arguments: argparse.Namespace, folder: Path, servers: dict):
        self.arguments, self.folder = arguments, folder
        self.chain = Chain(servers)
        self.outputs = self.deploy()
        self.heard = self.chain.listen(self.outputs["TopicArn"], "heard")
        self.overheard = self.overhear()
        # What should be in sales.orders, and the keys that were sent.
        self.orders: list[tuple[int, int, str]] = []
        self.sent: list[str] = []
        self.seed = random.Random(7)

    def deploy(self) -> dict[str, str]:
        """Template, databases, project."""
        code = {}
        for function, binary in FUNCTIONS.items():
            if self.arguments.built:
                code[function] = self.arguments.built.absolute() / function
                continue
            target = self.folder / "code" / binary
            target.mkdir(parents=True)
            shutil.copy(self.arguments.binaries / binary, target / "bootstrap")
            subprocess.run(["strip", target / "bootstrap"], check=True)
            code[function] = target
        template = Path(__file__).parent.parent.parent / "template.yaml"
        glue = self.chain.servers["glue"]
        outputs = self.chain.deploy(
            Path(os.path.abspath(self.arguments.sam)), template, self.folder, "unglue", code,
            {"AWS_ENDPOINT_URL_GLUE": glue}, {"Email": "none", "BatchWindow": self.arguments.batch_window},
        )  # fmt: skip
        self.work_round_gaps(outputs)
        self.chain.mirror_databases()
        for path, text in PROJECT.items():
            (self.folder / "project" / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / "project" / path).write_text(text)
        self.unglue("deploy-sql", "--to", f"s3://{outputs['Lake']}/_unglue/_project/", "--data", f"s3://{outputs['Lake']}")
        return outputs

    def work_round_gaps(self, outputs: dict) -> None:
        """Where the emulator differs from AWS: buckets for TLS only refuse its plain HTTP."""
        for bucket in (outputs["Landing"], outputs["Lake"]):
            self.chain.s3.delete_bucket_policy(Bucket=bucket)

    def unglue(self, *arguments: str | Path, **settings: str) -> str:
        """The program on a laptop, with the catalog of the emulator."""
        servers = self.chain.servers
        environment = {
            **self.chain.sam_environment(self.folder), "AWS_ENDPOINT_URL_GLUE": servers["glue"], "AWS_REGION": servers["region"], **settings
        }  # fmt: skip
        command = [self.arguments.unglue, *arguments, "--catalog", "glue", "--project", self.folder / "project"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"unglue {arguments[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    ## What is sent

    def check(self) -> list[bool]:
        """All of it, step by step."""
        outcomes = self.first_objects()
        outcomes += self.permissions()
        outcomes += self.poison()
        outcomes += odd.tables(self) + odd.events(self)
        outcomes += self.changed_schema()
        outcomes += self.burst()
        outcomes += self.everything_again()
        outcomes += self.from_a_laptop()
        outcomes += self.events_as_described()
        return outcomes

    def from_a_laptop(self) -> list[bool]:
        """The program on the deployed catalog and data; and in the deployed function."""
        for name in ("poison.csv.gz", "deep.csv"):
            self.chain.s3.delete_object(Bucket=self.outputs["Landing"], Key=f"raw/orders/{name}")
        lake = ("--data", f"s3://{self.outputs['Lake']}")
        remote = ("--remote", self.outputs["TransformFunction"])
        before = self.rows("sales", "orders")
        checked = self.unglue("check", *lake)
        idle = json.loads(self.unglue("run", "--json", *remote))
        rebuilt = json.loads(self.unglue("run", "sales.orders", "--full-refresh", "--json", *remote))
        self.settle()
        past = json.loads(self.unglue("history", "sales.orders", "--json", *lake))
        self.unglue("doctor", *lake)
        local = json.loads(self.unglue("run", "--json", *lake))
        self.unglue("catalog", "--data", f"s3://{self.outputs['Landing']}")
        replay = {"bucket": self.outputs["Landing"], "key": "raw/orders/plain.csv"}
        event = self.folder / "replay.json"
        event.write_text(json.dumps({"source": "unglue", "detail-type": "Replay", "detail": {"version": 1, "objects": [replay]}}))
        invoked = self.unglue(
            "invoke", "transform", event, UNGLUE_DATA=f"s3://{self.outputs['Lake']}", UNGLUE_LANDING=f"s3://{self.outputs['Landing']}",
            UNGLUE_PROJECT=f"s3://{self.outputs['Lake']}/_unglue/_project",
        )  # fmt: skip
        return [
            expect("check finds nothing", "error" in checked, False),
            expect("nothing is due in the function", (idle["runs"], idle["errors"]), ([], [])),
            expect("the function rebuilds", [(run["transform"], run["rows"]) for run in rebuilt["runs"]], [("sales.orders", len(self.orders))]),
            expect("the rebuilt table is the same", self.rows("sales", "orders") == before, True),
            expect("the rebuild is in the history", rebuilt["runs"][0]["run_id"] in json.dumps(past), True),
            expect("a replay of what was processed changes nothing", json.loads(invoked), None),
            expect("nothing is due on the laptop", (local["runs"], local["errors"]), ([], [])),
            *self.as_it_should_be("after all"),
        ]

    def overhear(self) -> str:
        """A queue that gets every event of unglue's: its URL."""
        url = self.chain.sqs.create_queue(QueueName="overheard")["QueueUrl"]
        arn = self.chain.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        rule = self.chain.events.put_rule(Name="overheard", EventPattern=json.dumps({"source": ["unglue"]}))["RuleArn"]
        allowed = {
            "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
        }  # fmt: skip
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        self.chain.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        self.chain.events.put_targets(Rule="overheard", Targets=[{"Id": "queue", "Arn": arn}])
        return url

    def events_as_described(self) -> list[bool]:
        """Every event that was sent is one of its schema in docs/events/."""
        events = [json.loads(message["Body"]) for message in self.chain.drain(self.overheard)]
        (self.folder / "events.json").write_text(json.dumps(events))
        schemas = Path(__file__).parent.parent.parent / "docs" / "events"
        command = [self.arguments.sam, "-c", VALIDATE, self.folder / "events.json", schemas]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        kinds = {"Catalog Updated", "Transform Succeeded", "Transform Failed"}
        return [
            expect("kinds of events", {event["detail-type"] for event in events}, kinds),
            expect("events that are not as their schema says", found, []),
        ]

    def order_rows(self, count: int) -> list[tuple[int, int, str]]:
        first = len(self.orders)
        start = datetime.date(2026, 11, 1)
        rows = [
            (first + i, self.seed.randrange(1, 1000), str(start + datetime.timedelta(days=self.seed.randrange(20))))
            for i in range(count)
        ]
        self.orders += rows
        return rows

    def send(self, objects: dict[str, bytes]) -> None:
        self.chain.upload(self.outputs["Landing"], objects)
        self.sent += objects

    def first_objects(self) -> list[bool]:
        """Odd keys, compression, an upload in parts."""
        self.send(
            {
                "raw/orders/plain.csv": orders_csv(self.order_rows(10)),
                "raw/orders/packed.csv.gz": gzip.compress(orders_csv(self.order_rows(1000))),
                "raw/orders/with space+plus %2B ü.csv": orders_csv(self.order_rows(3)),
                "raw/orders/2026/deep folder/x.csv": orders_csv(self.order_rows(4)),
                "raw/orders/_hidden.csv": b"no,data\n",
                "raw/orders/empty.csv": b"",
            }
        )
        visits = self.folder / "visits.parquet"
        subprocess.run([self.arguments.duckdb, "-c", PARQUET, visits, str(VISITS)], check=True)
        self.send({"raw/visits/large.parquet": visits.read_bytes()})
        self.settle()
        tables = self.chain.tables("raw")
        return [
            expect("sources in the catalog", sorted(tables), ["orders", "visits"]),
            expect("columns of the source", columns(tables["orders"]), [("id", "bigint"), ("amount", "bigint"), ("at", "date")]),
            *self.as_it_should_be("first objects"),
            expect("rows of the merge", len(self.rows("sales", "visits")), VISITS),
            expect("an upload in parts is more than one", visits.stat().st_size > 5 << 20, True),
            expect("dead letters", self.dead_letters(), {}),
            expect("one message a run", self.runs_told(), self.runs()),
        ]

    def permissions(self) -> list[bool]:
        """Without a permission the chain stops, nothing is lost, and it goes on once the permission is back."""
        outcomes = []
        required = self.every_permission() if self.arguments.every_permission else REQUIRED
        for function, action in required:
            restore = self.without(function, action)
            self.chain.drain(self.heard)
            name = f"raw/orders/{function}-without-{action.replace(':', '-')}.csv"
            # A day of its own, so that there is a new partition each time.
            row = (len(self.orders), 1, str(datetime.date(2026, 12, 1) + datetime.timedelta(days=len(outcomes))))
            self.orders.append(row)
            self.send({name: orders_csv([row])})
            time.sleep(STOPPED)
            arrived = row[2] in {str(found[1]) for found in self.rows("sales", "orders")}
            told = any("sales.orders" in message["Subject"] for message in self.chain.notifications(self.heard))
            outcomes.append(expect(f"without {action} for {function}: it stops", arrived and told, False))
            restore()
        self.settle()
        self.chain.drain(self.heard)
        return [*outcomes, *self.as_it_should_be("permissions are back"), expect("dead letters", self.dead_letters(), {})]

    def every_permission(self) -> list[tuple[str, str]]:
        """All of them, but for those that this chain has no need of."""
        found = []
        for function in FUNCTIONS:
            _, _, document = self.policy(function)
            actions = [statement["Action"] for statement in document["Statement"] if statement["Sid"] not in UNUSED]
            flat = {action for one in actions for action in (one if isinstance(one, list) else [one])}
            needed = [action for action in sorted(flat) if action not in UNUSED and f"{function} {action}" not in UNUSED]
            found += [(function, action) for action in needed]
        return found

    def policy(self, function: str) -> tuple[str, str, dict]:
        """The role of a function, its policy's name, and the policy."""
        iam = self.chain.client("iam")
        role = next(one["RoleName"] for one in iam.list_roles()["Roles"] if f"-{function}Role-" in one["RoleName"])
        (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
        return role, name, iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]

    def without(self, function: str, action: str) -> Callable[[], None]:
        """Takes a permission from the role of a function; gives what puts it back."""
        iam = self.chain.client("iam")
        role, policy, whole = self.policy(function)
        cut = json.loads(json.dumps(whole))
        for statement in cut["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            statement["Action"] = [one for one in actions if one != action] or ["none:None"]
        if cut == whole:
            raise ValueError(f"{function} has no permission {action}")
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(cut))
        return lambda: iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(whole))

    def poison(self) -> list[bool]:
        """An object that cannot be unpacked, and one with a bad record far behind the sample: both alone are set aside."""
        bad = orders_csv([(n, 1, "2026-11-01") for n in range(200_000)]) + b"7,x,2026-11-01\n"
        self.send({"raw/orders/poison.csv.gz": gzip.compress(b"id,amount,at\n" * 1000)[:-30], "raw/orders/deep.csv": bad})
        self.send({"raw/orders/good.csv": orders_csv(self.order_rows(5))})
        self.settle()
        subjects = [message["Subject"] for message in self.chain.notifications(self.heard)]
        return [
            *self.as_it_should_be("beside poison"),
            expect("only the poison is set aside", self.dead_letters(), {"poison.csv.gz": "bad-object", "deep.csv": "bad-record"}),
            expect("people hear of it", "sales.orders FAILED: bad-record" in subjects, True),
        ]

    def changed_schema(self) -> list[bool]:
        """A new column at the source."""
        rows = self.order_rows(2)
        self.send({"raw/orders/wider.csv": orders_csv(rows, note="new")})
        self.settle()
        subjects = [message["Subject"] for message in self.chain.notifications(self.heard)]
        return [
            expect("the new column", columns(self.chain.tables("raw")["orders"])[-1], ("note", "string")),
            expect("people hear of it", "raw.orders: new columns" in subjects, True),
            *self.as_it_should_be("a wider object"),
        ]

    def burst(self) -> list[bool]:
        """Many small objects at once."""
        objects = {f"raw/orders/burst/{n:04}.csv": orders_csv(self.order_rows(2)) for n in range(self.arguments.burst)}
        self.send(objects)
        self.settle()
        return [*self.as_it_should_be("a burst"), expect("dead letters", self.dead_letters(), {})]

    def everything_again(self) -> list[bool]:
        """Every event twice more, in another order."""
        before = (self.rows("sales", "orders"), self.rows("sales", "visits"), self.runs())
        listed = [item for page in self.chain.s3.get_paginator("list_objects_v2").paginate(Bucket=self.outputs["Landing"]) for item in page["Contents"]]
        sound = [item for item in listed if "poison" not in item["Key"] and not item["Key"].endswith("deep.csv")]
        messages = [self.event(item) for item in sound] * 2
        self.seed.shuffle(messages)
        for message in messages:
            self.chain.sqs.send_message(QueueUrl=self.outputs["ArrivalsUrl"], MessageBody=message)
        self.settle()
        after = (self.rows("sales", "orders"), self.rows("sales", "visits"), self.runs())
        return [expect("sent twice more: the same state", after == before, True), expect("dead letters", self.dead_letters(), {})]

    def event(self, item: dict) -> str:
        detail = {"bucket": {"name": self.outputs["Landing"]}, "reason": "PutObject",
                  "object": {"key": item["Key"], "size": item["Size"], "etag": item["ETag"].strip('"')}}  # fmt: skip
        return json.dumps(
            {"version": "0", "source": "aws.s3", "detail-type": "Object Created", "account": self.chain.servers["account"], "detail": detail}
        )

    ## What came of it

    def settle(self) -> None:
        self.chain.settle(heard=[self.heard, self.overheard], quiet=4, patience=self.arguments.patience)

    def rows(self, database: str, table: str) -> list[tuple]:
        """What a reader of the catalog sees, sorted."""
        target = Path(tempfile.mkdtemp(dir=self.folder))
        self.chain.download(database, table, target)
        found = subprocess.run([self.arguments.duckdb, "-c", ROWS, target], check=True, capture_output=True, text=True)
        names, rows = json.loads(found.stdout)
        order = sorted(range(len(names)), key=lambda index: names[index])
        return sorted(tuple(row[index] for index in order) for row in rows)

    def as_it_should_be(self, when: str) -> list[bool]:
        """The tables downstream of raw.orders, exactly."""
        orders = [(amount, day, id) for id, amount, day in self.orders]
        found = [(int(amount), str(day), int(id)) for amount, day, id in self.rows("sales", "orders")]
        daily = Counter(day for _, day, _ in orders)
        totals: Counter = Counter()
        for amount, day, _ in orders:
            totals[day] += amount
        marts = [(day, count, totals[day]) for day, count in daily.items()]
        found_marts = [(str(day), int(count), int(total)) for day, count, total in self.rows("marts", "daily")]
        partitions = {partition["Values"][0] for partition in self.chain.tables("sales")["orders"]["Partitions"]}
        return [
            expect(f"{when}: rows of sales.orders", difference(found, orders), {}),
            expect(f"{when}: partitions", partitions, set(daily)),
            expect(f"{when}: rows of marts.daily", difference(found_marts, marts), {}),
        ]

    def dead_letters(self) -> dict[str, str]:
        """Objects that were set aside, with their codes."""
        found = {}
        for messages in self.chain.dead_letters().values():
            for message in messages:
                code = message.get("MessageAttributes", {}).get("code", {}).get("StringValue", "given up by its queue")
                detail = json.loads(message["Body"])["detail"]
                keys = [detail["object"]["key"]] if "object" in detail else [one["object"] for one in detail.get("arrivals", [])]
                found[" ".join(key.rpartition("/")[2] for key in keys) or message["Body"]] = code
        return found

    def runs(self) -> list[str]:
        """Runs that were done, by the ledger."""
        pages = self.chain.s3.get_paginator("list_objects_v2").paginate(Bucket=self.outputs["Lake"], Prefix="_unglue/")
        keys = [item["Key"] for page in pages for item in page.get("Contents", []) if item["Key"].endswith("/done.json")]
        done = {key: json.load(self.chain.s3.get_object(Bucket=self.outputs["Lake"], Key=key)["Body"]) for key in keys}
        return sorted(one["receipt"]["run_id"] for one in done.values() if one["outcome"] == "succeeded")

    def runs_told(self) -> list[str]:
        """Runs that people were told of, each as often as it was."""
        texts = [message["Message"] for message in self.chain.notifications(self.heard)]
        lines = [line for text in texts for line in text.splitlines() if line.startswith("run ")]
        return sorted(line.split()[1].rstrip(",") for line in lines)

    def write_logs(self, folder: Path) -> None:
        """The logs of the functions, as the emulator kept them."""
        folder.mkdir(parents=True, exist_ok=True)
        logs = self.chain.client("logs")
        for group in logs.describe_log_groups()["logGroups"]:
            name = group["logGroupName"]
            with open(folder / (name.replace("/", "_") + ".log"), "w") as out:
                for stream in logs.describe_log_streams(logGroupName=name)["logStreams"]:
                    events = logs.get_log_events(logGroupName=name, logStreamName=stream["logStreamName"])["events"]
                    out.writelines(event["message"].rstrip() + "\n" for event in events)


if __name__ == "__main__":
    sys.exit(main())
