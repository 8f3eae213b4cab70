"""Checks the servers of servers.py and the rules of the proxy before Glue. Every rule is tried twice: it must hold with the
proxy, and it must not hold on moto alone, else the check would notice nothing.

    .venv-moto/bin/python tests/aws/selftest.py [--ministack PYTHON]
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import botocore.config
import botocore.exceptions

PAGE = 7
PARTITIONS = 30
RULES, MOTO_TOO = [], set()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ministack", metavar="PYTHON", help="checks ministack as well")
    arguments = parser.parse_args()
    outcomes = []
    with running("--moto", sys.executable, "--page", str(PAGE)) as servers:
        for rule in RULES:
            outcomes.append(expect(rule.__doc__, holds(rule, servers, servers["glue"]), True))
            if rule not in MOTO_TOO:
                outcomes.append(expect(f"… not without the proxy: {rule.__name__}", holds(rule, servers, servers["moto"]), False))
    outcomes += lifetime("--moto", sys.executable)
    if arguments.ministack:
        outcomes += lifetime("--ministack", arguments.ministack)
        outcomes += authorization(arguments.ministack)
    print(f"aws: {sum(outcomes)} passed, {len(outcomes) - sum(outcomes)} failed")
    return 0 if all(outcomes) else 1


## The rules ----------------------------------------------------------------------------------------------------------


class Glue:
    """A client on an empty catalog with a database `shop`, and the control of the proxy."""

    def __init__(self, servers: dict, endpoint: str):
        self.endpoint, self.control = endpoint, servers["glue"] + "/_control"
        self.client = client("glue", servers, endpoint)
        post(self.control + "/reset", {})
        self.client.create_database(DatabaseInput={"Name": "shop", "LocationUri": "s3://lake/shop/"})

    def partitioned(self, count: int = 0) -> "Glue":
        """With a table `orders`, partitioned by `day` and `hour`, and with so many partitions."""
        keys = [{"Name": "day", "Type": "string"}, {"Name": "hour", "Type": "int"}]
        self.client.create_table(DatabaseName="shop", TableInput={"Name": "orders", "PartitionKeys": keys})
        entries = [partition(number) for number in range(count)]
        for start in range(0, count, 100):
            self.batch("create", PartitionInputList=entries[start : start + 100])
        return self

    def batch(self, verb: str, **rest) -> dict:
        """One call for many partitions of `orders`."""
        return getattr(self.client, f"batch_{verb}_partition")(DatabaseName="shop", TableName="orders", **rest)

    def partitions(self, **rest) -> tuple[list[int], list[list[str]]]:
        """All partitions of `orders` over all pages: lengths of the pages, and values."""
        lengths, values, token = [], [], {}
        while True:
            page = self.client.get_partitions(DatabaseName="shop", TableName="orders", **rest, **token)
            lengths.append(len(page["Partitions"]))
            values += [one["Values"] for one in page["Partitions"]]
            if not page.get("NextToken"):
                return lengths, values
            token = {"NextToken": page["NextToken"]}

    def update(self, **rest) -> None:
        """Changes the description of `orders`."""
        self.client.update_table(DatabaseName="shop", TableInput={"Name": "orders", "Description": "new"}, **rest)

    def version(self) -> str:
        """The version of `orders`."""
        return self.client.get_table(DatabaseName="shop", Name="orders")["Table"]["VersionId"]

    def ask(self, **wish) -> None:
        """Asks the proxy for failures."""
        post(self.control, wish)

    def counts(self) -> dict:
        """Calls that the proxy has seen."""
        with urllib.request.urlopen(self.control + "/requests", timeout=10) as answer:
            return json.load(answer)


def rule(function):
    """A check that must hold with the proxy only."""
    RULES.append(function)
    return function


def rule_of_moto_too(function):
    """A check that moto alone passes as well, but that the tests build on."""
    MOTO_TOO.add(function)
    return rule(function)


@rule
def pages_of_partitions(glue: Glue) -> bool:
    """Partitions come in short pages, each exactly once"""
    lengths, values = glue.partitioned(PARTITIONS).partitions()
    return lengths == [7, 7, 7, 7, 2] and sorted(values) == sorted(partition(number)["Values"] for number in range(PARTITIONS))


@rule
def pages_of_max_results(glue: Glue) -> bool:
    """MaxResults makes pages shorter still"""
    return glue.partitioned(PARTITIONS).partitions(MaxResults=4)[0] == [4] * 7 + [2]


@rule
def pages_while_changing(glue: Glue) -> bool:
    """A partition that is deleted between two pages hides no other"""
    glue.partitioned(PARTITIONS)
    first = glue.client.get_partitions(DatabaseName="shop", TableName="orders")
    gone = first["Partitions"][0]["Values"]
    glue.client.delete_partition(DatabaseName="shop", TableName="orders", PartitionValues=gone)
    second = glue.client.get_partitions(DatabaseName="shop", TableName="orders", NextToken=first["NextToken"])
    return second["Partitions"][0]["Values"] == partition(PAGE)["Values"]


@rule
def pages_with_expression(glue: Glue) -> bool:
    """A filtered list has pages too"""
    lengths, values = glue.partitioned(PARTITIONS).partitions(Expression="hour >= 10")
    return lengths == [7, 7, 6] and values == [partition(number)["Values"] for number in range(10, PARTITIONS)]


@rule
def pages_of_tables(glue: Glue) -> bool:
    """Tables come in pages"""
    for number in range(PAGE + 1):
        glue.client.create_table(DatabaseName="shop", TableInput={"Name": f"t{number}"})
    first = glue.client.get_tables(DatabaseName="shop")
    second = glue.client.get_tables(DatabaseName="shop", NextToken=first["NextToken"])
    return len(first["TableList"]) == PAGE and [table["Name"] for table in second["TableList"]] == ["t7"]


@rule
def pages_of_databases(glue: Glue) -> bool:
    """Databases come in pages"""
    for number in range(PAGE):
        glue.client.create_database(DatabaseInput={"Name": f"d{number}"})
    first = glue.client.get_databases()
    second = glue.client.get_databases(NextToken=first["NextToken"])
    return len(first["DatabaseList"]) == PAGE and [database["Name"] for database in second["DatabaseList"]] == ["shop"]


@rule
def tokens_of_other_lists(glue: Glue) -> bool:
    """A token of another list is refused"""
    token = glue.partitioned(PARTITIONS).client.get_partitions(DatabaseName="shop", TableName="orders").get("NextToken", "none")
    return all(
        code(glue.client.get_partitions, DatabaseName="shop", TableName="orders", **wrong) == "InvalidInputException"
        for wrong in ({"NextToken": "nonsense"}, {"NextToken": token, "Expression": "hour = 1"})
    )


@rule
def limits_of_max_results(glue: Glue) -> bool:
    """MaxResults above its limit is refused, for each list"""
    glue.partitioned()
    return [
        code(glue.client.get_partitions, DatabaseName="shop", TableName="orders", MaxResults=1001),
        code(glue.client.get_tables, DatabaseName="shop", MaxResults=101),
        code(glue.client.get_databases, MaxResults=101),
    ] == ["ValidationException"] * 3


@rule
def segments(glue: Glue) -> bool:
    """Each partition is in exactly one segment"""
    glue.partitioned(PARTITIONS)
    parts = [glue.partitions(Segment={"SegmentNumber": number, "TotalSegments": 3})[1] for number in range(3)]
    everything = sorted(values for part in parts for values in part)
    return all(parts) and everything == sorted(partition(number)["Values"] for number in range(PARTITIONS))


@rule
def segments_out_of_range(glue: Glue) -> bool:
    """A segment outside of the total is refused, and so is a total above ten"""
    glue.partitioned()
    wrong = [{"SegmentNumber": 3, "TotalSegments": 3}, {"SegmentNumber": 0, "TotalSegments": 11}]
    calls = [code(glue.client.get_partitions, DatabaseName="shop", TableName="orders", Segment=one) for one in wrong]
    return calls == ["ValidationException"] * 2


@rule
def schema_excluded(glue: Glue) -> bool:
    """ExcludeColumnSchema leaves the columns out and the location in"""
    glue.partitioned(1)
    answer = glue.client.get_partitions(DatabaseName="shop", TableName="orders", ExcludeColumnSchema=True)
    storage = answer["Partitions"][0]["StorageDescriptor"]
    return "Columns" not in storage and storage["Location"] == partition(0)["StorageDescriptor"]["Location"]


@rule
def limits_of_batches(glue: Glue) -> bool:
    """A batch above its limit is refused and has no effect"""
    glue.partitioned(3)
    many = [partition(number) for number in range(1001)]
    values = [{"Values": one["Values"]} for one in many]
    updates = [{"PartitionValueList": one["Values"], "PartitionInput": one} for one in many]
    codes = [
        code(glue.batch, "create", PartitionInputList=many[:101]),
        code(glue.batch, "update", Entries=updates[:101]),
        code(glue.batch, "delete", PartitionsToDelete=values[:26]),
        code(glue.batch, "get", PartitionsToGet=values),
    ]
    return codes == ["ValidationException"] * 4 and len(glue.partitions()[1]) == 3


@rule_of_moto_too
def full_batches(glue: Glue) -> bool:
    """A batch at its limit is taken"""
    glue.partitioned(100)
    values = [{"Values": partition(number)["Values"]} for number in range(1000)]
    glue.batch("delete", PartitionsToDelete=values[:25])
    return len(glue.batch("get", PartitionsToGet=values)["Partitions"]) == 75


@rule
def stale_version(glue: Glue) -> bool:
    """UpdateTable with a version that is no longer current is refused"""
    glue.partitioned()
    read = glue.version()
    glue.update(VersionId=read)
    return code(glue.update, VersionId=read) == "ConcurrentModificationException" and code(glue.update) is None


@rule
def racing_versions(glue: Glue) -> bool:
    """Of eight writers with the same version one wins"""
    glue.partitioned()
    read, gate, codes = glue.version(), threading.Barrier(8), []

    def write() -> None:
        gate.wait()
        codes.append(code(glue.update, VersionId=read))

    writers = [threading.Thread(target=write) for _ in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    return sorted(codes, key=str) == ["ConcurrentModificationException"] * 7 + [None]


@rule
def lower_case(glue: Glue) -> bool:
    """Names of databases and tables are kept and found in lower case"""
    glue.client.create_database(DatabaseInput={"Name": "Sales"})
    glue.client.create_table(DatabaseName="SALES", TableInput={"Name": "Orders"})
    names = [table["Name"] for table in glue.client.get_tables(DatabaseName="sales")["TableList"]]
    found = glue.client.get_table(DatabaseName="Sales", Name="ORDERS")["Table"]
    again = code(glue.client.create_table, DatabaseName="sales", TableInput={"Name": "orders"})
    return names == ["orders"] and found["DatabaseName"] == "sales" and again == "AlreadyExistsException"


@rule
def wrong_count_of_values(glue: Glue) -> bool:
    """A wrong count of partition values is refused"""
    glue.partitioned(1)
    where, short = {"DatabaseName": "shop", "TableName": "orders"}, {**partition(5), "Values": ["2026-01-01"]}
    return [
        code(glue.client.create_partition, **where, PartitionInput=short),
        code(glue.client.update_partition, **where, PartitionValueList=partition(0)["Values"], PartitionInput=short),
        code(glue.client.get_partition, **where, PartitionValues=["2026-01-01"]),
        code(glue.batch, "get", PartitionsToGet=[{"Values": ["2026-01-01"]}]),
    ] == ["InvalidInputException"] * 4


@rule
def wrong_count_in_a_batch(glue: Glue) -> bool:
    """In a batch only the entry with the wrong count of values fails"""
    glue.partitioned()
    errors = glue.batch("create", PartitionInputList=[partition(1), {"Values": ["x"]}, partition(2)])["Errors"]
    failed = [(error["PartitionValues"], error["ErrorDetail"]["ErrorCode"]) for error in errors]
    return failed == [(["x"], "InvalidInputException")] and len(glue.partitions()[1]) == 2


@rule_of_moto_too
def errors_of_batches(glue: Glue) -> bool:
    """A partition that exists fails alone"""
    errors = glue.partitioned(1).batch("create", PartitionInputList=[partition(0), partition(1)])["Errors"]
    codes = [(error["PartitionValues"], error["ErrorDetail"]["ErrorCode"]) for error in errors]
    return codes == [(partition(0)["Values"], "AlreadyExistsException")] and len(glue.partitions()[1]) == 2


@rule_of_moto_too
def missing_table(glue: Glue) -> bool:
    """Partitions of a missing table are EntityNotFoundException"""
    batch = [{"Values": ["a", "1"]}]
    return [
        code(glue.client.get_partitions, DatabaseName="shop", TableName="nothing"),
        code(glue.client.get_table, DatabaseName="shop", Name="nothing"),
        code(glue.client.get_tables, DatabaseName="nothing"),
        code(glue.batch, "create", PartitionInputList=batch),
    ] == ["EntityNotFoundException"] * 4


@rule_of_moto_too
def expressions(glue: Glue) -> bool:
    """Expressions select; one that is no expression is InvalidInputException"""
    glue.partitioned(PARTITIONS)
    wrong = [code(glue.partitions, Expression=text) for text in ("hour >", "((", "nothing = 1", "hour = 'x'")]
    some = glue.partitions(Expression="(day = '2026-01-01' AND hour IN (1, 2)) OR hour = 10")[1]
    return wrong == ["InvalidInputException"] * 4 and some == [["2026-01-01", "01"], ["2026-01-01", "02"], ["2026-01-01", "10"]]


@rule
def length_of_expressions(glue: Glue) -> bool:
    """An expression of more than 2048 characters is refused"""
    text = " OR ".join(["hour = 1"] * 180)
    return code(glue.partitioned(1).partitions, Expression=text) == "ValidationException"


@rule
def throttling(glue: Glue) -> bool:
    """Throttling as often as asked for, and calls are counted"""
    glue.partitioned()
    glue.ask(throttle={"GetTable": 2})
    codes = [code(glue.version) for _ in range(3)]
    return codes == ["ThrottlingException"] * 2 + [None] and glue.counts()["GetTable"] == 3


@rule
def failing_without_effect(glue: Glue) -> bool:
    """A call that is to fail has no effect, and a fault of the server has status 500"""
    glue.ask(fail={"CreateTable": {"error": "InternalServiceException"}})
    try:
        glue.partitioned()
    except botocore.exceptions.ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return status == 500 and code(glue.version) == "EntityNotFoundException"
    return False


@rule
def failing_with_effect(glue: Glue) -> bool:
    """A call whose answer is to be lost has its effect"""
    glue.ask(fail={"CreateTable": {"error": "OperationTimeoutException", "after": True}})
    return code(glue.partitioned) == "OperationTimeoutException" and code(glue.version) is None


@rule
def failing_entries(glue: Glue) -> bool:
    """The first entries of a batch fail, the others have their effect"""
    glue.partitioned()
    glue.ask(fail={"BatchCreatePartition": {"error": "InternalServiceException", "entries": 1}})
    errors = glue.batch("create", PartitionInputList=[partition(0), partition(1)])["Errors"]
    codes = [(error["PartitionValues"], error["ErrorDetail"]["ErrorCode"]) for error in errors]
    return codes == [(partition(0)["Values"], "InternalServiceException")] and glue.partitions()[1] == [partition(1)["Values"]]


@rule
def unprocessed_keys(glue: Glue) -> bool:
    """BatchGetPartition may leave keys unprocessed"""
    glue.partitioned(2)
    glue.ask(fail={"BatchGetPartition": {"entries": 1}})
    keys = [{"Values": partition(number)["Values"]} for number in range(2)]
    answer = glue.batch("get", PartitionsToGet=keys)
    return answer["UnprocessedKeys"] == keys[:1] and len(answer["Partitions"]) == 1


@rule
def reset(glue: Glue) -> bool:
    """A reset empties counts, failures and catalog"""
    glue.ask(throttle={"GetDatabases": 5})
    throttled = code(glue.client.get_databases)
    post(glue.control + "/reset", {})
    return throttled is not None and glue.client.get_databases()["DatabaseList"] == [] and glue.counts() == {"GetDatabases": 1}


@rule_of_moto_too
def wrong_wishes(glue: Glue) -> bool:
    """Failures that cannot be are refused"""
    wishes = [{"throtle": {}}, {"fail": {"GetTable": {"entries": 1}}}, {"fail": {"GetTable": {"time": 1}}}]
    return [refused(glue.control, wish) for wish in wishes] == [True] * 3


## The servers --------------------------------------------------------------------------------------------------------


def lifetime(flag: str, python: str) -> list[bool]:
    """The servers end with their starter, whichever way it goes."""
    ends = {
        "its input closed": lambda process: process.stdin.close(),
        "SIGTERM": lambda process: process.terminate(),
        "SIGKILL": lambda process: process.kill(),
    }
    outcomes = []
    for name, end in ends.items():
        process, servers = start(flag, python)
        urls = [value for value in servers.values() if value.startswith("http://")]
        outcomes.append(expect(f"{flag}: answer", [answers(url) for url in urls], [True] * len(urls)))
        end(process)
        process.wait(timeout=20)
        deadline = time.monotonic() + 20
        while any(map(answers, urls)) and time.monotonic() < deadline:
            time.sleep(0.1)
        outcomes.append(expect(f"{flag}: still answer after {name}", [answers(url) for url in urls], [False] * len(urls)))
    both = [start(flag, python) for _ in range(2)]
    used = [value for _, servers in both for value in servers.values() if value.startswith("http://")]
    outcomes.append(expect(f"{flag}: two at once share no port", len(set(used)), len(used)))
    for process, _ in both:
        process.stdin.close()
        process.wait(timeout=20)
    return outcomes


def authorization(ministack: str) -> list[bool]:
    """With --auth a user needs the right secret and a policy, without it neither; nothing of ours is in the environment.
    The root key is let through with any secret, so that only users and roles say anything."""
    outcomes = []
    os.environ["UNGLUE_SELFTEST"] = "leaked"
    for flags, unsigned, unallowed in (((), None, None), (("--auth",), "SignatureDoesNotMatch", "AccessDenied")):
        with running("--moto", sys.executable, "--ministack", ministack, *flags) as servers:
            mode = "with --auth" if flags else "without --auth"
            client("s3", servers, servers["aws"]).create_bucket(Bucket="landing")
            iam = client("iam", servers, servers["aws"])
            iam.create_user(UserName="someone")
            key = iam.create_access_key(UserName="someone")["AccessKey"]

            def listing(secret: str) -> str | None:
                user = {**servers, "access_key_id": key["AccessKeyId"], "secret_access_key": secret}
                return code(client("s3", user, servers["aws"]).list_objects_v2, Bucket="landing")

            outcomes.append(expect(f"wrong secret {mode}", listing("wrong"), unsigned))
            outcomes.append(expect(f"no policy {mode}", listing(key["SecretAccessKey"]), unallowed))
            allow(iam, "someone", "s3:ListBucket", "arn:aws:s3:::landing")
            outcomes.append(expect(f"policy {mode}", listing(key["SecretAccessKey"]), None))

            root = client("glue", servers, servers["glue"])
            root.create_database(DatabaseInput={"Name": "shop"})
            root.create_table(DatabaseName="shop", TableInput={"Name": "orders"})

            def reading(secret: str) -> str | None:
                user = {**servers, "access_key_id": key["AccessKeyId"], "secret_access_key": secret}
                return code(client("glue", user, servers["glue"]).get_table, DatabaseName="shop", Name="orders")

            refusal = unallowed and "AccessDeniedException"
            outcomes.append(expect(f"Glue: wrong secret {mode}", reading("wrong"), unsigned and "InvalidSignatureException"))
            outcomes.append(expect(f"Glue: no policy {mode}", reading(key["SecretAccessKey"]), refusal))
            allow(iam, "someone", "glue:GetTable", "arn:aws:glue:*:*:database/other")
            outcomes.append(expect(f"Glue: policy for another database {mode}", reading(key["SecretAccessKey"]), refusal))
            allow(iam, "someone", "glue:GetTable", "arn:aws:glue:*:*:database/shop")
            outcomes.append(expect(f"Glue: policy {mode}", reading(key["SecretAccessKey"]), None))
            if sys.platform == "linux":
                outcomes.append(expect("variables that ministack inherited", inherited(servers["aws"]), set()))
    return outcomes


def allow(iam, user: str, action: str, resource: str) -> None:
    """Makes this the only thing that a user may do."""
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]}
    iam.put_user_policy(UserName=user, PolicyName="only", PolicyDocument=json.dumps(document))


def inherited(url: str) -> set[str]:
    """Names of variables of this process in the environment of the server that was started with this URL."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            names = dict(pair.partition("=")[::2] for pair in path.read_bytes().decode(errors="replace").split("\0"))
            if names.get("AWS_ENDPOINT_URL") == url:
                return {name for name in names if name in os.environ} - {"PATH", "HOME", "TMPDIR"}
    return {"the server was not found"}


## Tools --------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def running(*flags: str):
    """What servers.py says while it runs."""
    process, servers = start(*flags)
    try:
        yield servers
    finally:
        process.stdin.close()
        process.wait(timeout=20)


def start(*flags: str) -> tuple[subprocess.Popen, dict]:
    """Starts servers.py and reads its line."""
    began = time.monotonic()
    command = [sys.executable, str(Path(__file__).parent / "servers.py"), *flags]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"selftest.py: {command} did not start")
    print(f"{' '.join(flags[::2])}: ready after {time.monotonic() - began:.1f} s")
    return process, json.loads(line)


def client(service: str, servers: dict, endpoint: str):
    """A client that never tries twice."""
    return boto3.client(
        service, endpoint_url=endpoint, region_name=servers["region"],
        aws_access_key_id=servers["access_key_id"], aws_secret_access_key=servers["secret_access_key"],
        config=botocore.config.Config(retries={"total_max_attempts": 1}, max_pool_connections=16),
    )  # fmt: skip


def partition(number: int) -> dict:
    """A partition of `orders`."""
    values = ["2026-01-01", f"{number:02}"]
    storage = {"Columns": [{"Name": "id", "Type": "bigint"}], "Location": f"s3://lake/shop/orders/{number}/"}
    return {"Values": values, "StorageDescriptor": storage}


def holds(rule, servers: dict, endpoint: str) -> bool | str:
    """Whether a rule holds there; an error of the service or a missing field says that it does not."""
    try:
        return rule(Glue(servers, endpoint))
    except (botocore.exceptions.ClientError, KeyError, IndexError) as error:
        return False if endpoint == servers["moto"] else repr(error)


def code(call, *positional, **named) -> str | None:
    """The code of the error that a call gives, if it gives one."""
    try:
        call(*positional, **named)
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    return None


def post(url: str, body: dict) -> None:
    """Posts JSON."""
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode()), timeout=20):
        pass


def refused(url: str, body: dict) -> bool:
    """Whether what is posted is refused."""
    try:
        post(url, body)
    except urllib.error.HTTPError as error:
        return error.code == 400
    return False


def answers(url: str) -> bool:
    """Whether anything listens."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def expect(what: str, found: object, expected: object) -> bool:
    """Prints one check."""
    right = found == expected
    print(f"{'ok    ' if right else 'FAILED'} {what}" + ("" if right else f": {found!r}, expected {expected!r}"))
    return right


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
