"""Refusals that only pages know."""

from domain.refusals import Conflict, Forbidden


class CrossSite(Forbidden):
    """The form was sent from another site."""


class StaleForm(Conflict):
    """The form belongs to a session that is over: the browser has moved on in another tab."""
