"""What should not have been sent to the deployed chain: objects of tables that cannot be read, and odd events. Called by deployed.py."""

from __future__ import annotations

import json
import typing

from rows import orders_csv
from selftest import expect

if typing.TYPE_CHECKING:
    from deployed import Deployed


def tables(deployed: Deployed) -> list[bool]:
    """Objects of tables that someone has described in ways that cannot be read: each message is set aside with the reason."""
    json_lines = {"SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe"}}
    patterns = {"SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.serde2.RegexSerDe"}}
    described = {
        "patterns": {"Location": f"s3://{deployed.outputs['Landing']}/raw/patterns/", **patterns},
        "nowhere": json_lines,
        "abroad": {"Location": "s3://somebody-elses/abroad/", **json_lines},
    }
    codes = {"patterns.json": "unsupported-table", "nowhere.json": "unsupported-table", "abroad.json": "misplaced-object"}
    glue, columns = deployed.chain.glue, [{"Name": "id", "Type": "bigint"}]
    for name, storage in described.items():
        glue.create_table(DatabaseName="raw", TableInput={"Name": name, "StorageDescriptor": {"Columns": columns, **storage}})
    before = but_orders(deployed)
    deployed.send({f"raw/{name}/{name}.json": b'{"id": 1}\n' for name in described})
    deployed.send({"raw/orders/beside.csv": orders_csv(deployed.order_rows(2))})
    deployed.settle()
    outcomes = [
        *deployed.as_it_should_be("beside odd tables"),
        expect("objects of odd tables are set aside", deployed.dead_letters(), codes),
        expect("odd tables are left as they were", but_orders(deployed), before),
    ]
    for name in described:
        glue.delete_table(DatabaseName="raw", Name=name)
        deployed.chain.s3.delete_object(Bucket=deployed.outputs["Landing"], Key=f"raw/{name}/{name}.json")
    return outcomes


def but_orders(deployed: Deployed) -> dict[str, dict]:
    return {name: table for name, table in deployed.chain.tables("raw").items() if name != "orders"}


def events(deployed: Deployed) -> list[bool]:
    """Texts that are no event, events of others, and events that come too late."""
    bucket = deployed.outputs["Landing"]
    stored = deployed.chain.s3.head_object(Bucket=bucket, Key="raw/orders/plain.csv")
    plain = {"Key": "raw/orders/plain.csv", "Size": stored["ContentLength"], "ETag": stored["ETag"]}
    strange = json.loads(deployed.event({**plain, "Key": "raw/orders/strange.csv"}))
    strange["detail"]["bucket"]["name"] = "somebody-elses"
    sent = {
        "no event": "not json",
        "an event of another service": json.dumps({"source": "aws.ec2", "detail-type": "EC2 Instance State-change", "detail": {}}),
        "another bucket": json.dumps(strange),
        "a key in no table's folder": deployed.event({**plain, "Key": "raw/nothing.csv"}),
        "deleted before it was read": deployed.event({**plain, "Key": "raw/orders/deleted.csv"}),
        "replaced before it was read": deployed.event({**plain, "ETag": '"0123456789abcdef0123456789abcdef"', "Size": 3}),
        "a folder": deployed.event({**plain, "Key": "raw/orders/folder/", "Size": 0}),
    }
    runs = deployed.runs()
    for text in sent.values():
        deployed.chain.sqs.send_message(QueueUrl=deployed.outputs["ArrivalsUrl"], MessageBody=text)
    deployed.settle()
    found = {}
    for message in sum(deployed.chain.dead_letters().values(), []):
        name = next((name for name, text in sent.items() if text == message["Body"]), message["Body"])
        found[name] = message["MessageAttributes"]["code"]["StringValue"]
    expected = {
        "no event": "bad-event", "an event of another service": "bad-event", "another bucket": "bad-event",
        "a key in no table's folder": "misplaced-object",
    }  # fmt: skip
    return [
        expect("odd events are set aside", found, expected),
        expect("nothing ran for them", deployed.runs(), runs),
        *deployed.as_it_should_be("after odd events"),
    ]
