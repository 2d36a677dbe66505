# One image for every process: `serve`, `worker ...`, `migrate` and the other commands.
FROM python:3.13-slim AS libraries
COPY requirements.lock /tmp/
RUN python -m venv /opt/twinlock \
 && /opt/twinlock/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: -r /tmp/requirements.lock

FROM python:3.13-slim
RUN groupadd --gid 10001 twinlock \
 && useradd --uid 10001 --gid twinlock --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin twinlock
ENV PATH=/app/bin:/opt/twinlock/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TWINLOCK_HTTP=0.0.0.0:8080
WORKDIR /app
COPY --from=libraries /opt/twinlock /opt/twinlock
COPY bin bin
COPY domain domain
COPY commands commands
COPY projections projections
COPY api api
COPY workers workers
COPY twinlock twinlock
# Catalogues are compiled here, and byte code is written now, for the user cannot write later.
RUN if [ -d api/translations ]; then pybabel compile --directory api/translations; fi \
 && python -m compileall -q /app
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
# For `serve`; what runs workers turns it off, as docker-compose.yml does (--no-healthcheck).
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:%s/healthz' % os.environ['TWINLOCK_HTTP'].rpartition(':')[2], timeout=2)"]
ENTRYPOINT ["twinlock"]
CMD ["serve"]
