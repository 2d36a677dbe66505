"""Tests of what happens after the append: relay, log, projectors, mail."""
