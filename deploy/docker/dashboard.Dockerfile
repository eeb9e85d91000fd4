# The dashboard: its gateway, and the pages that it serves. Build it from the root of the repository:
#   docker build --file deploy/docker/dashboard.Dockerfile --tag weir-dashboard .

FROM node:24-bookworm-slim AS pages
WORKDIR /build/frontend
COPY frontend/package.json frontend/package-lock.json frontend/.npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
COPY frontend ./
COPY VERSION /build/
RUN npm run build -- --logLevel warn

FROM python:3.13-slim-bookworm AS build
ENV UV_PYTHON_DOWNLOADS=never \
    UV_LINK_MODE=copy
WORKDIR /build

# What installs and builds stays in this stage.
COPY deploy/locks/uv.txt deploy/locks/build.txt deploy/locks/
RUN python -m venv /build/tools \
 && /build/tools/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes \
    --requirement deploy/locks/uv.txt --requirement deploy/locks/build.txt

# The service's own dependencies and no others, each checked by its hash; wheels only, so nothing is compiled.
COPY deploy/locks/dashboard.txt deploy/locks/
RUN python -m venv --without-pip /opt/weir \
 && /build/tools/bin/uv pip install --quiet --python /opt/weir/bin/python --require-hashes --only-binary :all: \
    --compile-bytecode --requirement deploy/locks/dashboard.txt

COPY VERSION ./
COPY libs/servicekit libs/servicekit
COPY services/dashboard services/dashboard
RUN /build/tools/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
    --wheel-dir wheels ./libs/servicekit ./services/dashboard \
 && /build/tools/bin/uv pip install --quiet --python /opt/weir/bin/python --no-deps --no-index \
    --compile-bytecode wheels/*.whl

FROM python:3.13-slim-bookworm
COPY --from=build /opt/weir /opt/weir
COPY deploy/docker/healthcheck.py /opt/weir/healthcheck.py
COPY --from=pages /build/frontend/dist /srv/weir/pages
USER 10001:10001
WORKDIR /srv/weir
ENV PYTHONSAFEPATH=1 \
    WEIR_DASHBOARD_LISTEN=0.0.0.0:3000 \
    WEIR_BACKEND_URL=http://metrics-api:8002 \
    WEIR_SPA_DIR=/srv/weir/pages \
    WEIR_LOG_FORMAT=json
EXPOSE 3000
HEALTHCHECK --interval=5s --timeout=3s --start-period=15s --retries=3 \
    CMD ["/opt/weir/bin/python", "-I", "/opt/weir/healthcheck.py", "WEIR_DASHBOARD_LISTEN"]
ENTRYPOINT ["/opt/weir/bin/python", "-m", "weir.dashboard"]
