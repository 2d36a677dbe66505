"""What arrives in people's mailboxes."""

import re
import time

from tests.browser.support.site import Site

CODE = re.compile(r"^\s*([0-9]{6}|[0-9A-HJKMNP-TV-Z]{8})\s*$", re.MULTILINE)
LINK = re.compile(r"https?://\S+")


def mailed_code(site: Site, email: str, *, after: int = 0) -> str:
    """The newest code mailed to the address, once more than `after` mails with a code are there."""
    found = _wait(site, email, CODE, after)
    return found[1]


def mailed_link(site: Site, email: str, *, after: int = 0) -> str:
    """The newest link mailed to the address."""
    return _wait(site, email, LINK, after)[0]


def mails_with_codes(site: Site, email: str) -> int:
    """How many codes the address was sent by now."""
    return len([m for m in site.mailbox.messages(email) if CODE.search(m.text)])


def mail_about(site: Site, email: str, word: str, timeout: float = 60) -> str:
    """Subject and text of the newest mail to the address that has the word; waits for it."""
    deadline = time.monotonic() + timeout
    while True:
        for mail in site.mailbox.messages(email):
            if word in mail.subject or word in mail.text:
                return f"{mail.subject}\n\n{mail.text}"
        assert time.monotonic() < deadline, f"no mail about {word} to {email}"
        time.sleep(0.05)


def _wait(
    site: Site, email: str, pattern: re.Pattern[str], after: int, timeout: float = 60
) -> re.Match[str]:
    deadline = time.monotonic() + timeout
    while True:
        found = [m for mail in site.mailbox.messages(email) if (m := pattern.search(mail.text))]
        if len(found) > after:
            return found[0]
        assert time.monotonic() < deadline, f"no mail for {email}"
        time.sleep(0.05)
