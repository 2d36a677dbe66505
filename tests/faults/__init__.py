"""Faults of every kind, injected into real processes, and one oracle that judges them all."""
