"""The machine's own limit: a bare Flask application under the server that Twinlock runs under."""

import os
import sys
from typing import TYPE_CHECKING

from flask import Flask, request
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels
from psycopg_pool import ConnectionPool

from twinlock.serve import BACKLOG

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

WORKERS, THREADS = 2, 4


def create() -> "WSGIApplication":
    """Three views: nothing, one durable insert, one read by primary key."""
    app = Flask("bare")
    pool = ConnectionPool(
        os.environ["TWINLOCK_DATABASE"],
        min_size=1,
        max_size=THREADS,
        open=True,
        kwargs={"autocommit": True},
    )

    @app.get("/empty")
    def empty() -> str:
        return ""

    @app.post("/insert")
    def insert() -> dict[str, int]:
        with pool.connection() as connection:
            row = connection.execute(
                "insert into bare_rows (body) values (%s) returning id", (request.get_data(),)
            ).fetchone()
        assert row is not None
        return {"id": row[0]}

    @app.get("/read/<int:row_id>")
    def read(row_id: int) -> dict[str, str]:
        with pool.connection() as connection:
            row = connection.execute("select body from bare_rows where id = %s", (row_id,))
            found = row.fetchone()
        assert found is not None
        return {"body": found[0]}

    return app.wsgi_app


def main(address: str) -> None:
    """Serve them as `twinlock serve` serves Twinlock."""
    host, _, port = address.rpartition(":")
    Granian(
        "benchmarks.bare:create",
        factory=True,
        address=host,
        port=int(port),
        interface=Interfaces.WSGI,
        workers=WORKERS,
        blocking_threads=THREADS,
        backlog=BACKLOG,
        log_level=LogLevels.warning,
    ).serve()


if __name__ == "__main__":
    main(sys.argv[1])
