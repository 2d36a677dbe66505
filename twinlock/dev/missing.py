"""The refusal of a part that cannot start, in one line that names the mend."""


class CannotStart(Exception):
    """A development part cannot start; the message is one line and says what to do about it."""
