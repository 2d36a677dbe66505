"""A topic as `kcat` reads it, a Kafka client that is none of ours."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Record:
    """A record of the topic."""

    partition: int
    offset: int
    key: str
    payload: str
    headers: dict[str, str]

    @property
    def event(self) -> dict[str, Any]:
        """The CloudEvent in it."""
        found: dict[str, Any] = json.loads(self.payload)
        return found


def consume(bootstrap: str, topic: str, settings: Path | None = None) -> list[Record]:
    """Every record from the beginning to the end; a file may have settings of the client's own."""
    given = [] if settings is None else ["-F", str(settings)]
    lines = _kcat(bootstrap, topic, *given, "-J").decode(
        errors="replace"
    )  # a record may be anything
    return [_record(json.loads(line)) for line in lines.split("\n") if line]


def bytes_of(bootstrap: str, topic: str) -> bytes:
    """Keys, headers and payloads of all records, as they are."""
    return _kcat(bootstrap, topic, "-f", "%k %h %s\n")


def first_of_each(records: list[Record]) -> dict[int, Record]:
    """The records by the ids of their events; a repeat has to be the same to the letter."""
    found: dict[int, Record] = {}
    for record in records:
        known = found.setdefault(int(record.event["id"]), record)
        assert (known.key, known.payload) == (record.key, record.payload)
    return found


def _kcat(bootstrap: str, topic: str, *form: str) -> bytes:
    command = ["kcat", "-C", "-b", bootstrap, "-t", topic, "-o", "beginning", "-e", "-q", *form]
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout


def _record(line: dict[str, Any]) -> Record:
    names = line.get("headers") or []
    headers = dict(zip(names[::2], names[1::2], strict=True))
    return Record(line["partition"], line["offset"], line["key"], line["payload"], headers)
