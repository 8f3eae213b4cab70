"""What the real Glue demands and moto does not, as rules around a function that asks moto; glue_proxy.py says which."""

import base64
import functools
import hashlib
import json
import zlib
from collections.abc import Callable

PAGES = {"GetDatabases": ("DatabaseList", 100), "GetTables": ("TableList", 100), "GetPartitions": ("Partitions", 1000)}
BATCHES = {
    "BatchCreatePartition": ("PartitionInputList", 100),
    "BatchUpdatePartition": ("Entries", 100),
    "BatchDeletePartition": ("PartitionsToDelete", 25),
    "BatchGetPartition": ("PartitionsToGet", 1000),
    "BatchDeleteTable": ("TablesToDelete", 100),
}
EXPRESSION_LIMIT = 2048
SEGMENT_LIMIT = 10
OF_DATABASES = ("CreateDatabase", "GetDatabase", "UpdateDatabase", "DeleteDatabase")
OF_TABLES = ("CreateTable", "GetTable", "UpdateTable", "DeleteTable")
WRONG_COUNT = "The number of partition keys do not match the number of partition values"


class GlueError(Exception):
    """An answer of Glue that is an error."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code, self.message = code, message


class Call:
    """One call of a client; `forward` sends any call to moto in its name and raises the errors that come back."""

    def __init__(self, operation: str, request: dict, forward: Callable[[str, dict], dict], page: int | None = None):
        self.operation, self.request = operation, lower_names(operation, request)
        self.forward, self.page = forward, page

    def answer(self) -> dict:
        """The call with all rules applied."""
        if self.operation in PAGES:
            return self.one_page()
        if self.operation in BATCHES:
            return self.batch()
        if self.operation in ("CreatePartition", "UpdatePartition", "GetPartition", "DeletePartition"):
            for name in ("PartitionInput", "PartitionValueList", "PartitionValues"):
                if name in self.request and not self.right_count(self.request[name]):
                    raise GlueError("InvalidInputException", WRONG_COUNT)
        if self.operation == "UpdateTable" and "VersionId" in self.request:
            self.check_version()
        return self.forward(self.operation, self.request)

    def table(self) -> dict:
        """The table that the call is about."""
        database, name = self.request["DatabaseName"], self.request.get("TableName") or self.request["TableInput"]["Name"]
        return self.forward("GetTable", {"DatabaseName": database, "Name": name})["Table"]

    def check_version(self) -> None:
        """The version that the client has read must still be the current one."""
        if self.table()["VersionId"] != self.request["VersionId"]:
            raise GlueError("ConcurrentModificationException", "Update table failed due to concurrent modifications.")

    @functools.cached_property
    def key_count(self) -> int:
        """How many partition keys the table has."""
        return len(self.table().get("PartitionKeys") or [])

    def right_count(self, entry: dict | list) -> bool:
        """Whether every list of partition values in it has one value for each partition key."""
        return all(len(values) == self.key_count for values in value_lists(entry))

    def one_page(self) -> dict:
        """A page of a list, in the order of the names or values, so that a change between two pages hides nothing."""
        field, limit = PAGES[self.operation]
        size = self.request.get("MaxResults", limit)
        check(1 <= size <= limit, "maxResults", size, f"Member must have value between 1 and {limit}")
        expression = self.request.get("Expression") or ""
        rule = f"Member must have length less than or equal to {EXPRESSION_LIMIT}"
        check(len(expression) <= EXPRESSION_LIMIT, "expression", expression, rule)
        segment = self.segment()
        query = {name: value for name, value in self.request.items() if name not in ("MaxResults", "NextToken")}
        after = read_token(self.request.get("NextToken"), self.operation, query)

        items = sorted(self.forward(self.operation, query)[field], key=sort_key)
        items = [item for item in items if (after is None or sort_key(item) > after) and segment(item)]
        page = items[: min(size, self.page or size)]
        if self.request.get("ExcludeColumnSchema"):
            for item in page:
                item.get("StorageDescriptor", {}).pop("Columns", None)
        more = {"NextToken": write_token(sort_key(page[-1]), self.operation, query)} if len(page) < len(items) else {}
        return {field: page, **more}

    def segment(self):
        """Says of an item whether it is in the segment that the call asks for."""
        segment = self.request.get("Segment")
        if segment is None:
            return lambda item: True
        number, total = segment["SegmentNumber"], segment["TotalSegments"]
        rule = f"Member must have value between 1 and {SEGMENT_LIMIT}"
        check(1 <= total <= SEGMENT_LIMIT, "segment.totalSegments", total, rule)
        check(0 <= number < total, "segment.segmentNumber", number, "Member must have value less than the total of segments")
        return lambda item: zlib.crc32(json.dumps(item["Values"]).encode()) % total == number

    def batch(self) -> dict:
        """A batch without the entries that are wrong, and an error for each of these."""
        field, limit = BATCHES[self.operation]
        entries = self.request.get(field, [])
        rule = f"Member must have length less than or equal to {limit}"
        check(len(entries) <= limit, field[0].lower() + field[1:], "[…]", rule)
        if self.operation == "BatchDeleteTable" or all(map(self.right_count, entries)):
            return self.forward(self.operation, self.request)
        if self.operation == "BatchGetPartition":
            raise GlueError("InvalidInputException", WRONG_COUNT)
        right = [entry for entry in entries if self.right_count(entry)]
        wrong = [entry for entry in entries if not self.right_count(entry)]
        answer = self.forward(self.operation, {**self.request, field: right})
        errors = [entry_error(self.operation, entry, "InvalidInputException", WRONG_COUNT) for entry in wrong]
        return {**answer, "Errors": errors + answer.get("Errors", [])}

    def with_failing_entries(self, failure: dict) -> dict:
        """A batch whose first entries fail and have no effect."""
        field, count = BATCHES[self.operation][0], failure["entries"]
        failing = self.request[field][:count]
        self.request = {**self.request, field: self.request[field][count:]}
        answer = self.answer()
        if self.operation == "BatchGetPartition":
            return {**answer, "UnprocessedKeys": failing}
        errors = [entry_error(self.operation, entry, failure["error"], "asked for by a test") for entry in failing]
        return {**answer, "Errors": errors + answer.get("Errors", [])}


def check(holds: bool, name: str, value: object, rule: str) -> None:
    """Refuses a value as the service's first validation does."""
    if not holds:
        text = f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: {rule}"
        raise GlueError("ValidationException", text)


def lower_names(operation: str, request: dict) -> dict:
    """The request with names of databases and tables as Glue keeps them."""
    lowered = dict(request)
    for name in ("DatabaseName", "TableName", *(("Name",) if operation in OF_DATABASES + OF_TABLES else ())):
        if isinstance(lowered.get(name), str):
            lowered[name] = lowered[name].lower()
    for name in ("DatabaseInput", "TableInput"):
        if "Name" in lowered.get(name, {}):
            lowered[name] = {**lowered[name], "Name": lowered[name]["Name"].lower()}
    if "TablesToDelete" in lowered:
        lowered["TablesToDelete"] = [name.lower() for name in lowered["TablesToDelete"]]
    return lowered


def value_lists(entry: dict | list) -> list[list]:
    """All lists of partition values in an entry of a batch, or in what stands for one."""
    if isinstance(entry, list):
        return [entry]
    named = [entry[name] for name in ("Values", "PartitionValueList") if name in entry]
    return named + (value_lists(entry["PartitionInput"]) if "PartitionInput" in entry else [])


def entry_error(operation: str, entry: dict | str, code: str, message: str) -> dict:
    """What a batch says about an entry that failed."""
    detail = {"ErrorDetail": {"ErrorCode": code, "ErrorMessage": message}}
    if operation == "BatchDeleteTable":
        return {"TableName": entry, **detail}
    field = "PartitionValueList" if operation == "BatchUpdatePartition" else "PartitionValues"
    return {field: value_lists(entry)[0], **detail}


def sort_key(item: dict) -> list:
    """Where an item stands in a list."""
    return item["Values"] if "Values" in item else [item["Name"]]


def write_token(last: list, operation: str, query: dict) -> str:
    """A token for what follows an item in this very list."""
    return base64.urlsafe_b64encode(json.dumps([fingerprint(operation, query), last]).encode()).decode()


def read_token(token: str | None, operation: str, query: dict) -> list | None:
    """The item after which a page begins; a token of another list is refused."""
    if token is None:
        return None
    try:
        of, last = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        of, last = None, None
    if of != fingerprint(operation, query):
        raise GlueError("InvalidInputException", "The NextToken is not valid for this request.")
    return last


def fingerprint(operation: str, query: dict) -> str:
    """Tells lists apart."""
    return hashlib.sha256(json.dumps([operation, query], sort_keys=True).encode()).hexdigest()[:16]
