"""What happened, in words that people read: one sentence for each type of event."""

from flask_babel import lazy_gettext
from flask_babel.speaklater import LazyString

WORDS: dict[str, LazyString] = {
    "mfa.registered": lazy_gettext("Account made known"),
    "mfa.contact_changed": lazy_gettext("Address changed"),
    "mfa.email_code_sent": lazy_gettext("Email code sent"),
    "mfa.email_code_confirmed": lazy_gettext("Email code confirmed"),
    "mfa.email_code_rejected": lazy_gettext("Email code refused"),
    "mfa.enrolment_started": lazy_gettext("Set-up of an authenticator begun"),
    "mfa.bound": lazy_gettext("MFA bound"),
    "mfa.unbound": lazy_gettext("MFA unbound"),
    "mfa.code_accepted": lazy_gettext("Code accepted"),
    "mfa.code_rejected": lazy_gettext("Code refused"),
    "mfa.locked": lazy_gettext("Locked after refused codes"),
    "mfa.recovery_codes_issued": lazy_gettext("Recovery codes issued"),
    "mfa.recovery_code_spent": lazy_gettext("Recovery code used"),
    "mfa.login_granted": lazy_gettext("Login granted without a code"),
    "mfa.sessions_revoked": lazy_gettext("Sessions ended"),
    "mfa.ticket_opened": lazy_gettext("Ticket opened for the member"),
    "mfa.ticket_closed": lazy_gettext("Ticket closed for the member"),
    "mfa.erased": lazy_gettext("Account erased"),
    "workspace.created": lazy_gettext("Workspace made known"),
    "workspace.renamed": lazy_gettext("Workspace profile changed"),
    "workspace.policy_enforced": lazy_gettext("Policy enforced"),
    "workspace.policy_lifted": lazy_gettext("Policy switched off"),
    "workspace.member_added": lazy_gettext("Member joined the workspace"),
    "workspace.member_role_changed": lazy_gettext("Role changed"),
    "workspace.member_removed": lazy_gettext("Member left the workspace"),
    "ticket.submitted": lazy_gettext("Ticket submitted"),
    "ticket.claimed": lazy_gettext("Ticket claimed"),
    "ticket.forwarded": lazy_gettext("Ticket forwarded"),
    "ticket.approval_given": lazy_gettext("Approval given"),
    "ticket.approved": lazy_gettext("Ticket approved"),
    "ticket.rejected": lazy_gettext("Ticket rejected"),
    "ticket.cancelled": lazy_gettext("Ticket cancelled"),
    "token.created": lazy_gettext("API token made"),
    "token.revoked": lazy_gettext("API token revoked"),
    "audit.exported": lazy_gettext("Audit trail exported"),
}
ACTORS: dict[str, LazyString] = {
    "host": lazy_gettext("Host"),
    "member": lazy_gettext("Member"),
    "support": lazy_gettext("Agent"),
    "auditor": lazy_gettext("Auditor"),
    "system": lazy_gettext("System"),
    "operator": lazy_gettext("Operator"),
    "anonymous": lazy_gettext("Nobody signed in"),
}
RESULTS: dict[str, LazyString] = {
    "ok": lazy_gettext("Done"),
    "refused": lazy_gettext("Refused"),
}
TYPES = tuple(sorted(WORDS))
"""Every type there is, as filters offer them."""


def in_words(wire_name: str) -> str:
    """The type in the reader's language; a type without words stands for itself."""
    return str(WORDS.get(wire_name, wire_name))


def actor_in_words(kind: str) -> str:
    """The kind of actor in the reader's language."""
    return str(ACTORS.get(kind, kind))


def result_in_words(result: str) -> str:
    """The result in the reader's language."""
    return str(RESULTS.get(result, result))
