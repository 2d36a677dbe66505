"""Measurements behind the decisions; each prints its own table, and ratios are what to read."""
