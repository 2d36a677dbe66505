"""Stored events as leaves of the tree: bytes that no two different events share."""

from dataclasses import dataclass

from domain import merkle

FORM = b"\x01"
"""The first byte of every leaf; another form would have another."""


@dataclass(frozen=True, slots=True)
class Content:
    """What the store keeps of an event besides its position; `state` is its JSON as stored."""

    stream: str
    version: int
    topic: str
    state: bytes


def leaf_hash(position: int, content: Content) -> bytes:
    """The hash of the event at a position."""
    return merkle.leaf(leaf_bytes(position, content))


def leaf_bytes(position: int, content: Content) -> bytes:
    """Form, position and version as 8 bytes, and each text behind its length as 4, big-endian."""
    stream, topic = content.stream.encode(), content.topic.encode()
    return b"".join(
        (
            FORM,
            position.to_bytes(8),
            len(stream).to_bytes(4),
            stream,
            content.version.to_bytes(8),
            len(topic).to_bytes(4),
            topic,
            len(content.state).to_bytes(4),
            content.state,
        )
    )
