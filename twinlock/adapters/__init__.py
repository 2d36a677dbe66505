"""The world outside, behind the ports of the inner rings: PostgreSQL, Kafka, keys and mail."""
