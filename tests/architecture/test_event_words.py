"""Every type of event can be read by people."""

from api.pages.event_words import WORDS
from domain.facts import FACTS
from projections.journal import KINDS


def test_every_type_has_words() -> None:
    assert KINDS
    assert set(WORDS) == {fact.wire_name for fact in FACTS.values()}
