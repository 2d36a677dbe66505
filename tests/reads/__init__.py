"""Tests of read models: equal to the domain's own folding, idempotent, complete."""
