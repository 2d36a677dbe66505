"""Workspaces and members as the host puts them, and one code knocking at many doors."""

import threading

from commands.dispatch import run
from commands.erase_member import EraseMember
from domain.facts import Actor
from tests.http.installation import Installation, Person, Reply


def test_putting_twice_changes_nothing_the_second_time(here: Installation) -> None:
    workspace = here.workspace(return_urls=["https://app.example/back"])
    path, body = f"/v1/workspaces/{workspace}", {"name": "A workspace"}
    again = here.put(path, "host", body)
    assert again.status == 200
    assert again.body["return_urls"] == ["https://app.example/back"]
    head = here.twinlock.store.head()
    assert here.put(path, "host", body).headers["Twinlock-Position"] == str(head)
    cleared = here.put(path, "host", {"name": "Another name", "return_urls": []})
    assert cleared.body == {"workspace_id": workspace, "name": "Another name", "return_urls": []}


def test_a_member_keeps_its_language_unless_another_is_said(here: Installation) -> None:
    workspace = here.workspace()
    member = here.member(workspace)
    path = f"/v1/workspaces/{workspace}/members/{member.id}"
    body = {"email": member.email, "name": "Somebody", "role": "member"}
    assert here.put(path, "host", body).body["locale"] == "en"
    assert here.put(path, "host", {**body, "locale": "zh"}).body["locale"] == "zh"
    assert here.put(path, "host", body).body["locale"] == "zh"


def test_an_address_belongs_to_one_member(here: Installation) -> None:
    workspace = here.workspace()
    member = here.member(workspace)
    path = f"/v1/workspaces/{workspace}/members/{member.id}-other"
    body = {"email": member.email.upper(), "name": "Other", "role": "member"}
    assert here.put(path, "host", body).told == (409, "email-taken")


def test_two_unicode_spellings_of_an_address_are_one_mailbox(here: Installation) -> None:
    workspace = here.workspace()
    member = here.member(workspace)
    path = f"/v1/workspaces/{workspace}/members/{member.id}"
    composed = f"Zo\u00eb.{member.email}"
    spelt_apart = f"zoe\u0308.{member.email}"
    body = {"name": "Zo\u00eb", "role": "member"}
    assert here.put(path, "host", {**body, "email": composed}).status == 200
    head = here.twinlock.store.head()
    assert here.put(path, "host", {**body, "email": spelt_apart}).status == 200
    assert here.twinlock.store.head() == head, "the address did not change"
    other = here.put(f"{path}-other", "host", {**body, "email": composed})
    assert other.told == (409, "email-taken")


def test_an_address_too_long_for_a_qr_code_leaves_the_label_to_the_id(here: Installation) -> None:
    member = here.member(here.workspace())
    member.email = "\U0001f600" * 220 + member.email
    here.join(member, member.workspace_id)
    shown = here.enrol(member, here.pass_of(member))
    assert f"/Twinlock:{member.id}?" in shown["otpauth_uri"]


def test_a_removed_member_is_gone_from_the_workspace_and_keeps_the_binding(
    here: Installation,
) -> None:
    first, second = here.workspace(), here.workspace()
    member = here.bound(first)
    here.join(member, second)
    path = f"/v1/workspaces/{first}/members/{member.id}"
    assert here.call("DELETE", path, "host").status == 204
    assert here.call("DELETE", path, "host").told == (404, "not-found")
    body = {"workspace_id": first, "member_id": member.id}
    assert here.post("/v1/logins", "host", body).told == (404, "not-found")
    assert here.get(f"/v1/members/{member.id}/mfa", "host").body["status"] == "bound"


def test_an_erased_id_is_given_to_nobody_again(here: Installation) -> None:
    workspace = here.workspace()
    member = here.bound(workspace)
    erase = EraseMember(member_id=member.id)
    run(erase, here.twinlock.context(Actor("operator"), "test"), here.twinlock.desk)
    for where in (workspace, here.workspace()):
        path = f"/v1/workspaces/{where}/members/{member.id}"
        body = {"email": f"new-{member.email}", "name": "Somebody else", "role": "member"}
        assert here.put(path, "host", body).told == (409, "erased")


def test_a_code_at_many_doors_opens_one(here: Installation) -> None:
    member = here.bound(here.workspace())
    doors = [here.login(member) for _ in range(20)]
    body = {"code": here.code(member)}
    replies: list[Reply] = []

    def knock(door: dict[str, str]) -> None:
        path = f"/v1/logins/{door['login_id']}/code"
        replies.append(here.post(path, door["login_token"], body))

    threads = [threading.Thread(target=knock, args=(door,)) for door in doors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = sorted(reply.told for reply in replies)
    assert told == [(200, ""), *[(403, "code-rejected")] * 19]


def test_renewed_recovery_codes_void_the_older(here: Installation) -> None:
    member = here.bound(here.workspace())
    path = f"/v1/members/{member.id}/mfa/recovery-codes"
    renewed = here.post(path, member.granted, {"code": here.code(member)})
    assert (renewed.status, len(renewed.body["recovery_codes"])) == (201, 10)
    assert enter(here, member, member.recovery_codes[0]).told == (403, "code-rejected")
    assert enter(here, member, renewed.body["recovery_codes"][0]).status == 200
    left = here.get(f"/v1/members/{member.id}/mfa", member.granted).body["recovery_codes_left"]
    assert left == 9


def enter(here: Installation, member: Person, recovery_code: str) -> Reply:
    """Try a recovery code at a fresh login."""
    opened = here.login(member)
    path = f"/v1/logins/{opened['login_id']}/code"
    return here.post(path, opened["login_token"], {"recovery_code": recovery_code})
