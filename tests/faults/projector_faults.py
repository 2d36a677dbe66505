"""Faults of what follows the log: projectors killed, frozen, fed with repeats and with poison."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from typing import Any

from kafka import KafkaProducer
from psycopg import Connection

from domain.member_facts import SessionsRevoked
from projections.models import MODELS
from tests.faults.ground import Ground, descendants, patient
from tests.faults.load import under
from tests.faults.mail_faults import ask_for_code, members, sent_to_all
from tests.faults.scenarios import Seen, Size, hold, scenario
from tests.flow.installation import ROOT
from tests.flow.topics import consume
from twinlock.adapters.recorder import append_of
from workers import mail_queue
from workers.parking import parked_records, retry

AUDITOR_PAGE = "/v1/audit?limit=1"
LAST = """
SELECT originator_version, state FROM stored_events WHERE originator_id = %s
ORDER BY originator_version DESC LIMIT 1
"""
MEND = "UPDATE stored_events SET state = %s WHERE notification_id = %s"


def killed(ground: Ground, place: str, count: int) -> Seen:
    """Let the projectors' process die at a place, under load."""
    with under(ground.load) as load:
        injected = ground.fail_until(place, 0.5, count, seconds=20 + count * 12)
        back = ground.settle()
    hold(not load.failures, f"{load.failures[:3]}")
    return Seen(injected, back)


@scenario("F17", "projector killed before its rows are written")
def before_rows(ground: Ground, size: Size) -> Seen:
    return killed(ground, "before-batch", size.of(3))


@scenario("F17", "projector killed between rows and progress")
def before_progress(ground: Ground, size: Size) -> Seen:
    return killed(ground, "before-progress", size.of(3))


@scenario("F17", "projector killed before its commit")
def before_commit(ground: Ground, size: Size) -> Seen:
    return killed(ground, "after-progress", size.of(3))


@scenario("F17", "projector killed after its commit")
def after_commit(ground: Ground, size: Size) -> Seen:
    return killed(ground, "after-batch", size.of(3))


@scenario("F15", "every record repeated, in another order")
def repeated(ground: Ground, size: Size) -> Seen:
    bootstrap = ground.twinlock.settings.kafka
    records = [each for each in consume(bootstrap, ground.topic) if is_event(each.payload)]
    random.shuffle(records)
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    with under(ground.load) as load:
        for record in records:
            producer.send(
                ground.topic,
                key=record.key.encode(),
                value=record.payload.encode(),
                headers=[(name, value.encode()) for name, value in record.headers.items()],
                partition=record.partition,
            )
        producer.flush()
        producer.close()
    begun = time.monotonic()
    caught_up(ground)
    hold(not load.failures, f"{load.failures[:3]}")
    return Seen(1, time.monotonic() - begun, f"{len(records)} records")


def is_event(payload: str) -> bool:
    """Whether it is JSON with an id."""
    try:
        return "id" in json.loads(payload)
    except (ValueError, TypeError):
        return False


def caught_up(ground: Ground) -> None:
    """Wait until every projector has read to the end, of what is no news too."""
    ground.settle()
    last: list[tuple[object, ...]] | None = None
    while True:
        with ground.twinlock.connect() as connection:
            now = connection.execute(
                "SELECT model, partition, next_offset FROM progress"
            ).fetchall()
        if sorted(now, key=str) == last:
            return
        last = sorted(now, key=str)
        time.sleep(1.5)


@scenario("F16", "projector frozen in mid-batch, until others have its partitions")
def frozen(ground: Ground, size: Size) -> Seen:
    ground.work("project-2", "project")
    time.sleep(4)
    with under(ground.load) as load:
        for name in ("project", "project-2"):
            stop_and_go(ground, name)
    back = ground.settle()
    hold(not load.failures, f"{load.failures[:3]}")
    ground.kill("project-2")
    return Seen(2, back + ground.settle(), "9 s each, beyond the session's 6")


def stop_and_go(ground: Ground, name: str) -> None:
    """Freeze a worker for longer than its group waits for it."""
    pids = descendants(ground.here.processes[name].pid)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(9)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    time.sleep(3)


@scenario("F18", "poison on the topic: no JSON, unknown type, later version, forged")
def poison(ground: Ground, size: Size) -> Seen:
    bootstrap = ground.twinlock.settings.kafka
    genuine = next(e for e in consume(bootstrap, ground.topic) if is_event(e.payload))
    event = genuine.event
    records = [
        b"\xff\x00 no JSON",
        b"[" * 20_000,
        json.dumps({**event, "type": "twinlock.mfa.unheard_of.v1"}).encode(),
        json.dumps({**event, "type": event["type"].rpartition(".")[0] + ".v99"}).encode(),
        json.dumps({**event, "id": str(10**15)}).encode(),
        json.dumps({**event, "data": {"forged": True}}).encode(),
    ]
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    with under(ground.load) as load:
        for partition in range(12):
            for record in records:
                own = record + b" " * partition  # no two are the same to the letter
                producer.send(ground.topic, key=b"member/x", value=own, partition=partition)
        producer.flush()
        producer.close()
        begun = time.monotonic()
        ground.settle()
        back = time.monotonic() - begun
    caught_up(ground)
    hold(not load.failures, f"{load.failures[:3]}")
    count = 12 * len(records)
    return Seen(count, back, "all parked, the rest went on")


@scenario("F18", "an unreadable event in the store, mended later")
def unreadable(ground: Ground, size: Size) -> Seen:
    """It stops its own member alone, and is applied once it is what it was."""
    here, member = ground.here, f"torn-{int(time.time())}"
    here.as_host("PUT", f"/v1/workspaces/{member}", {"name": "Torn"})
    person = {"email": f"{member}@example.org", "name": "Torn", "role": "member"}
    here.as_host("PUT", f"/v1/workspaces/{member}/members/{member}", person)
    login = {"workspace_id": member, "member_id": member}
    with under(ground.load) as load, patient(ground.twinlock) as connection:
        position, state = torn(connection, f"member/{member}")
        begun = time.monotonic()
        ground.settle()
        back = time.monotonic() - begun
        refused = here.client.post("/v1/logins", here.tokens["host"], login)
        hold(refused.told == (503, "unavailable"), f"{refused.status} for its member")
        rows = [row for row in parked_records(connection) if row.position == position]
        models = {model.key: model for model in (*MODELS, mail_queue.MODEL)}
        hold({row.model for row in rows} == models.keys(), f"{rows} are parked")
        connection.execute(MEND, (state, position))
        for row in rows:
            retry(connection, models[row.model], row)
    here.as_host("POST", "/v1/logins", login)
    hold(not load.failures, f"{load.failures[:3]}")
    return Seen(1, back, "503 for its member alone; read again once it is mended")


def torn(connection: Connection[Any], stream: str) -> tuple[int, bytes]:
    """Append what is no event; answers its position, and what it should have been."""
    row = connection.execute(LAST, (stream,)).fetchone()
    hold(row is not None, "the stream is not there")
    version, state = row or (0, b"")
    whole = json.dumps({**json.loads(state), "subject": stream, "data": {}}).encode()
    given = (stream, version + 1, SessionsRevoked.topic(), whole[: len(whole) // 2])
    appended = connection.execute(append_of(1), given).fetchone()
    hold(appended is not None, "nothing was appended")
    return (appended or (0,))[0], whole


@scenario("F19", "projector a while behind")
def behind(ground: Ground, size: Size) -> Seen:
    """What is decided meanwhile is decided on the streams."""
    here = ground.here
    ground.settle()
    ground.kill("project")
    workspace, member = f"late-{int(time.time())}", "late-member"
    here.as_host("PUT", f"/v1/workspaces/{workspace}", {"name": "Late"})
    person = {"email": f"{workspace}@example.org", "name": "Late", "role": "member"}
    here.as_host("PUT", f"/v1/workspaces/{workspace}/members/{member}", person)
    here.as_host("PUT", f"/v1/workspaces/{workspace}/mfa-policy", {"mode": "enforced"})
    opened = here.as_host("POST", "/v1/logins", {"workspace_id": workspace, "member_id": member})
    hold(opened.body["state"] == "enrolment_required", f"{opened.body['state']} while it lags")
    path = f"/v1/login-checks?workspace_id={workspace}&member_id={member}"
    checked = here.client.get(path, here.tokens["host"])
    hold(checked.body.get("decision") == "enrolment_required", f"{checked.body} while it lags")
    late = here.client.get(f"{AUDITOR_PAGE}&at_least={opened.position}", here.tokens["auditor"])
    hold(late.slug == "not-yet-visible", "a late read model did not say so")
    ground.work("project")
    return Seen(1, ground.settle(), "decisions right, reads say that they are late")


@scenario("F20", "read models rebuilt under load")
def rebuilt(ground: Ground, size: Size) -> Seen:
    before, seconds = mailed(ground, size.of(5)), 0.0
    with under(ground.load) as load:
        for name in ("standing", "tickets", "audit_trail"):
            begun = time.monotonic()
            command = ["-m", "twinlock", "rebuild", name]
            done = subprocess.run(
                [sys.executable, *command],
                env={**ground.here.env, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                timeout=120,
            )
            hold(done.returncode == 0, done.stderr[-200:])
            hold("the first difference" not in done.stdout, done.stdout)
            seconds = max(seconds, time.monotonic() - begun)
    hold(not load.failures, f"{load.failures[:3]}")
    ground.settle()
    time.sleep(3)
    again = ground.postbox.count - before
    hold(before > 0 and again == 0, f"{again} mails came after {before}")
    return Seen(3, seconds, f"none of {before} mails sent again")


def mailed(ground: Ground, count: int) -> int:
    """Have so many codes mailed; how many mails have come by then."""
    asked = members(ground, count)
    for person, token in asked:
        ask_for_code(ground.here, person, token)
    sent_to_all(ground, [person for person, _ in asked], 30)
    ground.settle()
    return ground.postbox.count
