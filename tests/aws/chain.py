"""Drives the chain of the AWS side on the servers of servers.py: deploys a template, uploads objects, waits until nothing is
under way, and reads what came out: tables, notifications, dead letters.

Runs in the environment of moto, which has boto3; `sam` and DuckDB are called in theirs.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import boto3
import botocore.config

QUIET, PATIENCE = 3.0, 120.0
PART = 5 * 1024 * 1024
STORE = "stacks"

# Runs in the environment of sam: gives functions their code and variables, as `sam build` would, without building.
PACKAGE = """
import json, sys
from samcli.yamlhelper import yaml_dump, yaml_parse
template, target, code, environment = sys.argv[1:]
tree = yaml_parse(open(template).read())
for name, folder in json.loads(code).items():
    function = tree["Resources"][name]
    function["Properties"]["CodeUri"] = folder
    function.pop("Metadata", None)
shared = tree.setdefault("Globals", {}).setdefault("Function", {}).setdefault("Environment", {}).setdefault("Variables", {})
shared.update(json.loads(environment))
open(target, "w").write(yaml_dump(tree))
"""

# Runs in the environment of DuckDB: the comparison of the oracle on two sets of Parquet files.
COMPARE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import duckdb
from compare import differences
connection = duckdb.connect()
for name, files in (("wanted", sys.argv[2]), ("found", sys.argv[3])):
    path = files.replace("'", "''")
    connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{path}', hive_partitioning = true, union_by_name = true)")
print(json.dumps(differences(connection, "wanted", "found")))
"""


class Chain:
    """Clients of the servers, and what a test does with them."""

    def __init__(self, servers: dict):
        self.servers = servers
        self.s3, self.sqs, self.sns = (self.client(service) for service in ("s3", "sqs", "sns"))
        self.events, self.functions, self.stacks = (self.client(service) for service in ("events", "lambda", "cloudformation"))
        self.glue = self.client("glue", servers["glue"]) if "glue" in servers else None

    def client(self, service: str, endpoint: str | None = None):
        """A client of ministack, or of another server."""
        return boto3.client(
            service, endpoint_url=endpoint or self.servers["aws"], region_name=self.servers["region"],
            aws_access_key_id=self.servers["access_key_id"], aws_secret_access_key=self.servers["secret_access_key"],
            config=botocore.config.Config(s3={"addressing_style": "path"}, max_pool_connections=32),
        )  # fmt: skip

    ## Deploying

    def deploy(
        self, sam_python: Path, template: Path, folder: Path, stack: str,
        code: dict[str, Path], environment: dict[str, str] | None = None, parameters: dict[str, str] | None = None,
    ) -> dict[str, str]:  # fmt: skip
        """Deploys a template by `sam deploy`, with a folder of code for each function; gives the outputs. What functions
        are to find elsewhere than at ministack, Glue above all, is said by `environment`."""
        packaged = folder / f"{stack}.yaml"
        folders = json.dumps({name: str(path) for name, path in code.items()})
        command = [sam_python, "-c", PACKAGE, template, packaged, folders, json.dumps(environment or {})]
        subprocess.run(command, check=True)
        if STORE not in {bucket["Name"] for bucket in self.s3.list_buckets()["Buckets"]}:
            self.s3.create_bucket(Bucket=STORE)
        overrides = [f"{name}={value}" for name, value in (parameters or {}).items()]
        command = [
            Path(sam_python).parent / "sam", "deploy", "--template-file", packaged, "--stack-name", stack, "--s3-bucket", STORE,
            "--capabilities", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "--no-confirm-changeset", "--no-fail-on-empty-changeset",
            "--no-progressbar", *(("--parameter-overrides", *overrides) if overrides else ()),
        ]  # fmt: skip
        done = subprocess.run(command, cwd=folder, env=self.sam_environment(folder), capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"sam deploy: {done.stdout}{done.stderr}\n{self.failed_resources(stack)}")
        self.repair_mappings()
        found = self.stacks.describe_stacks(StackName=stack)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}

    def repair_mappings(self) -> None:
        """Numbers that come from parameters of a template stay text in ministack's event source mappings, and then nothing
        reads from any queue. Says the same numbers once more."""
        for page in self.functions.get_paginator("list_event_source_mappings").paginate():
            for mapping in page["EventSourceMappings"]:
                numbers = {name: int(mapping[name]) for name in ("BatchSize", "MaximumBatchingWindowInSeconds") if name in mapping}
                if mapping.get("ScalingConfig"):
                    numbers["ScalingConfig"] = {"MaximumConcurrency": int(mapping["ScalingConfig"]["MaximumConcurrency"])}
                self.functions.update_event_source_mapping(UUID=mapping["UUID"], **numbers)

    def sam_environment(self, home: Path) -> dict[str, str]:
        """What `sam` needs, and nothing else: no credentials but those of ministack."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home),
            "SAM_CLI_TELEMETRY": "0",
            "AWS_ENDPOINT_URL": self.servers["aws"],
            "AWS_DEFAULT_REGION": self.servers["region"],
            "AWS_ACCESS_KEY_ID": self.servers["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": self.servers["secret_access_key"],
        }

    def failed_resources(self, stack: str) -> list[str]:
        """Why a stack failed."""
        events = self.stacks.describe_stack_events(StackName=stack)["StackEvents"]
        failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
        return [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}" for event in failed]

    def mirror_databases(self) -> list[str]:
        """Makes the databases that CloudFormation made in ministack's own catalog in the one that functions use."""
        names = []
        for page in self.client("glue").get_databases()["DatabaseList"]:
            wanted = {key: page[key] for key in ("Name", "Description", "LocationUri", "Parameters") if page.get(key)}
            self.glue.create_database(DatabaseInput=wanted)
            names.append(wanted["Name"])
        return names

    ## Uploading

    def upload(self, bucket: str, objects: dict[str, bytes]) -> None:
        """Puts objects there; those larger than a part come in parts."""
        for key, body in objects.items():
            if len(body) <= PART:
                self.s3.put_object(Bucket=bucket, Key=key, Body=body)
            else:
                self.upload_in_parts(bucket, key, body)

    def upload_in_parts(self, bucket: str, key: str, body: bytes) -> None:
        """A multipart upload, which has an event of its own."""
        where = {"Bucket": bucket, "Key": key}
        upload = {**where, "UploadId": self.s3.create_multipart_upload(**where)["UploadId"]}
        parts = []
        for number, start in enumerate(range(0, len(body), PART), 1):
            answer = self.s3.upload_part(**upload, PartNumber=number, Body=body[start : start + PART])
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        self.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})

    ## Queues

    def queues(self) -> dict[str, dict[str, str]]:
        """All queues: attributes by URL."""
        pages = self.sqs.get_paginator("list_queues").paginate()
        urls = [url for page in pages for url in page.get("QueueUrls", [])]
        return {url: self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"] for url in urls}

    def dead_letter_arns(self, queues: dict[str, dict[str, str]]) -> set[str]:
        """Queues for what another queue, or a target of a rule, could not deliver."""
        arns = {json.loads(one["RedrivePolicy"])["deadLetterTargetArn"] for one in queues.values() if one.get("RedrivePolicy")}
        for bus in self.events.list_event_buses()["EventBuses"]:
            for rule in self.events.list_rules(EventBusName=bus["Name"])["Rules"]:
                targets = self.events.list_targets_by_rule(Rule=rule["Name"], EventBusName=bus["Name"])["Targets"]
                arns |= {target["DeadLetterConfig"]["Arn"] for target in targets if target.get("DeadLetterConfig")}
        return arns

    def settle(self, heard: Iterable[str] = (), quiet: float = QUIET, patience: float = PATIENCE) -> None:
        """Waits until no queue has had a message, waiting, delayed or in flight, for a while: dead letters and the queues
        that a test listens on excepted."""
        deadline, since = time.monotonic() + patience, time.monotonic()
        while time.monotonic() - since < quiet:
            busy = self.busy(set(heard))
            if busy:
                since = time.monotonic()
            if time.monotonic() > deadline:
                raise TimeoutError(f"still under way after {patience} s: {busy}")
            time.sleep(0.1)

    def busy(self, heard: set[str]) -> dict[str, int]:
        """How many messages are under way, by queue."""
        queues = self.queues()
        dead = self.dead_letter_arns(queues)
        counts = {}
        for url, attributes in queues.items():
            kinds = ("", "NotVisible", "Delayed")
            count = sum(int(attributes.get(f"ApproximateNumberOfMessages{kind}", 0)) for kind in kinds)
            if count and url not in heard and attributes["QueueArn"] not in dead:
                counts[attributes["QueueArn"].rpartition(":")[2]] = count
        return counts

    def drain(self, url: str) -> list[dict]:
        """Reads and removes all messages of a queue."""
        messages = []
        while True:
            answer = self.sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"], MessageAttributeNames=["All"]
            )
            if not answer.get("Messages"):
                return messages
            for message in answer["Messages"]:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                messages.append(message)

    def dead_letters(self) -> dict[str, list[dict]]:
        """What lies in dead-letter queues, by name of the queue; empty ones are left out. They are empty afterwards."""
        queues = self.queues()
        dead = self.dead_letter_arns(queues)
        found = {one["QueueArn"].rpartition(":")[2]: self.drain(url) for url, one in queues.items() if one["QueueArn"] in dead}
        return {name: messages for name, messages in found.items() if messages}

    def listen(self, topic: str, name: str, policy: dict | None = None) -> str:
        """A new queue that is subscribed to a topic: its URL."""
        url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        allowed = {
            "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }  # fmt: skip
        document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document})
        attributes = {"FilterPolicy": json.dumps(policy)} if policy else {}
        self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)
        return url

    def notifications(self, url: str) -> list[dict]:
        """What came over the topic since the last call: Subject, Message, MessageAttributes."""
        return [json.loads(message["Body"]) for message in self.drain(url)]

    ## Tables

    def tables(self, database: str) -> dict[str, dict]:
        """Tables of a database by name, each with all its partitions as `Partitions`."""
        found = {}
        for page in self.glue.get_paginator("get_tables").paginate(DatabaseName=database):
            for table in page["TableList"]:
                pages = self.glue.get_paginator("get_partitions").paginate(DatabaseName=database, TableName=table["Name"])
                table["Partitions"] = [partition for one in pages for partition in one["Partitions"]]
                found[table["Name"]] = table
        return found

    def download(self, database: str, table: str, folder: Path) -> int:
        """Fetches the Parquet files that a reader of the table would read, with their paths below the table: how many."""
        description = self.tables(database)[table]
        root = description["StorageDescriptor"]["Location"]
        parts = description["Partitions"] if description.get("PartitionKeys") else [description]
        count = 0
        for part in parts:
            bucket, _, prefix = part["StorageDescriptor"]["Location"].removeprefix("s3://").partition("/")
            for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix.rstrip("/") + "/"):
                for item in page.get("Contents", []):
                    target = folder / f"s3://{bucket}/{item['Key']}".removeprefix(root).lstrip("/")
                    # Readers pass over what begins so.
                    if target.name.startswith(("_", ".")) or not item["Size"]:
                        continue
                    target.parent.mkdir(parents=True, exist_ok=True)
                    self.s3.download_file(bucket, item["Key"], str(target))
                    count += 1
        return count


def differences(duckdb_python: Path, wanted: str, found: str) -> list[str]:
    """What differs between the rows of two globs of Parquet files, in words; empty if nothing does."""
    oracle = Path(__file__).parent.parent / "oracle"
    command = [duckdb_python, "-c", COMPARE, oracle, wanted, found]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
