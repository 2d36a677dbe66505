"""Follows Twinlock's events on Kafka and keeps who has a second factor.

    python examples/consumer.py BOOTSTRAP [TOPIC]

prints a line for each change, such as

    17 2026-03-01T10:00:00.000000Z m1 is bound: 1 bound in all
"""

import json
import sys

from kafka import KafkaConsumer

BOUND = {"mfa.bound": True, "mfa.unbound": False, "mfa.erased": False}


def main(bootstrap: str, topic: str = "twinlock.events") -> None:
    bound: set[str] = set()
    newest: dict[str, int] = {}
    consumer = KafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", group_id=None
    )
    for record in consumer:
        event = json.loads(record.value)
        name = event["type"].removeprefix("twinlock.").rpartition(".v")[0]
        member, id_ = event["subject"].removeprefix("member/"), int(event["id"])
        if name in BOUND and id_ > newest.get(member, 0):  # a repeat is older, or the same
            newest[member] = id_
            (bound.add if BOUND[name] else bound.discard)(member)
            word = "bound" if BOUND[name] else "not bound"
            print(f"{event['id']} {event['time']} {member} is {word}: {len(bound)} bound in all")


if __name__ == "__main__":
    main(*sys.argv[1:])
