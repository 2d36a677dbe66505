"""Make a member of a workspace known, or change role, address, name or language."""

from dataclasses import dataclass

from commands.contact import CONTACT, Contact, contact_of, previous, same_address
from commands.grants import Done
from commands.ports import Context, Desk, Write
from domain import membership
from domain.member_facts import ContactChanged
from domain.member_mfa import MemberMFA
from domain.refusals import Forbidden, NotFound
from domain.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PutMember:
    """`locale` None keeps the member's language.

    `confined` is a host that answers for this workspace alone.
    """

    workspace_id: str
    member_id: str
    email: str
    name: str
    role: str
    locale: str | None = None
    confined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberPut(Done):
    """Whether the member is new in this workspace."""

    created: bool
    locale: str


def handle(command: PutMember, context: Context, desk: Desk) -> MemberPut:
    """Idempotent: the same profile again changes nothing.

    Raises NotFound or Forbidden to a confined host where the member is others' too.
    """
    if not desk.store.load(Workspace, command.workspace_id).created:
        raise NotFound("No such workspace.")
    member = desk.store.load(MemberMFA, command.member_id)
    before = contact_of(desk.vault, command.member_id)
    locale = command.locale or (before.locale if before else "en")
    contact = Contact(command.email, command.name, locale)
    if command.confined:
        refuse_foreign(member, command.workspace_id, changes=contact != before)
    moved = before is not None and not same_address(before.email, command.email)
    facts = membership.put(member, command.workspace_id, command.role, contact_changed=moved)
    also: list[Write] = []
    if contact != before:
        owner = f"member/{member.id}"
        also = [
            desk.vault.seal(owner, CONTACT, contact.sealed()),
            desk.vault.claim_address(member.id, command.email),
        ]
        if before and ContactChanged() in facts:
            change = member.version + 1 + facts.index(ContactChanged())
            also.append(desk.vault.seal(owner, previous(change), before.sealed()))
    position = desk.store.append(context, (member, facts), also=also)
    return MemberPut(
        position=position, created=command.workspace_id not in member.roles, locale=locale
    )


def refuse_foreign(member: MemberMFA, workspace_id: str, *, changes: bool = False) -> None:
    """One tenant's host takes over no member of another's, nor changes where its mail goes.

    Who has left every workspace keeps the authenticator, and stays with the last one's host.
    """
    homes = set(member.roles) or {member.left} - {None}
    if homes <= {workspace_id}:
        return
    if workspace_id not in homes:
        raise NotFound("There is nothing here, or it is not yours to see.")
    if changes:
        raise Forbidden("The member belongs to other workspaces too; their host changes the rest.")
