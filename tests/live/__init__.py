"""Tests against real parts: PostgreSQL, Kafka, a mailbox, other programs."""
