"""What a rule answers: the facts to record first, and the refusal, if any, to answer after."""

from dataclasses import dataclass

from domain.facts import Fact
from domain.refusals import Refusal


@dataclass(frozen=True, slots=True)
class Decision:
    """Facts are committed before the refusal is answered: a wrong code is a fact, not an error."""

    facts: tuple[Fact, ...]
    refusal: Refusal | None = None

    @property
    def granted(self) -> bool:
        """Whether the request was granted."""
        return self.refusal is None

    def then(self, *facts: Fact) -> "Decision":
        """The same, with more facts where it was granted."""
        return Decision((*self.facts, *facts)) if self.granted else self
