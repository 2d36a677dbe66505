"""What is appended becomes visible, on either log."""

from contextlib import closing

import pytest
from kafka import KafkaAdminClient

from domain.member_mfa import MemberMFA
from domain.workspace import Workspace
from projections import audit_trail, standing
from projections.models import MODELS
from projections.progress import complete_up_to, wait_visible
from tests.flow.conftest import Running
from tests.flow.histories import a_workspace, append, bound

pytestmark = pytest.mark.live


def test_what_is_appended_becomes_visible_in_every_model(running: Running) -> None:
    running.relay()
    running.project()
    position = a_workspace(running.twinlock, ["m1", "m2"])
    running.seen(position)
    with running.twinlock.connect() as connection:
        seen = standing.see(connection, "w", "m1")
        rows = audit_trail.page(connection, audit_trail.Filter(), limit=500)
        assert complete_up_to(connection, audit_trail.KEY) == position
    assert not seen.behind
    assert seen.member == running.twinlock.store.load(MemberMFA, "m1")
    assert seen.workspace == running.twinlock.store.load(Workspace, "w")
    assert [row.position for row in rows] == list(range(1, position + 1))


def test_a_row_knows_that_it_is_behind_its_stream(running: Running) -> None:
    running.relay()
    running.project()
    position = a_workspace(running.twinlock, ["m1", "m2"])
    wait_visible(running.twinlock.reads, standing.KEY, position, timeout=60)
    running.stop()
    append(running.twinlock, MemberMFA, "m2", bound())
    with running.twinlock.connect() as connection:
        assert standing.see(connection, "w", "m2").behind
        assert not standing.see(connection, "w", "m1").behind


@pytest.mark.kafka
def test_no_other_installation_of_the_same_brokers_is_in_our_groups(
    on_kafka: Running, kafka: str
) -> None:
    on_kafka.relay()
    on_kafka.project()
    on_kafka.seen(a_workspace(on_kafka.twinlock, ["m1"]))
    with closing(KafkaAdminClient(bootstrap_servers=kafka)) as admin:
        groups = {group["group_id"] for group in admin.list_groups()}
    assert groups >= {f"{on_kafka.log.name}.{model.key}" for model in MODELS}
