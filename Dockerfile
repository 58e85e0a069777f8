# syntax=docker/dockerfile:1
# The server, with PostgreSQL's client: packages by their hashes from the lock files, no compiler in the image that
# runs, a user without rights. Its root may be read-only: it writes to /data (a file of SQLite, caches) and /tmp.
FROM python:3.13-slim-trixie AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements.lock requirements-server.lock ./
RUN python -m venv /app \
    && /app/bin/pip install --require-hashes -r requirements.lock \
    && /app/bin/pip install --require-hashes --no-deps -r requirements-server.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN /app/bin/pip install --no-deps --no-build-isolation . \
    && /app/bin/pip uninstall --yes pip hatchling editables

FROM python:3.13-slim-trixie
COPY --from=build /app /app
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin pagefault \
    && install -d -o pagefault -g pagefault -m 0700 /data
ENV PATH=/app/bin:$PATH PAGEFAULT_HOME=/data PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
VOLUME /data
EXPOSE 8283
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8283/readyz', timeout=8)"]
ENTRYPOINT ["pagefault"]
CMD ["serve", "--host", "0.0.0.0"]
