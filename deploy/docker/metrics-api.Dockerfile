# The metrics API. Build it from the root of the repository:
#   docker build --file deploy/docker/metrics-api.Dockerfile --tag weir-metrics-api .

FROM node:24-bookworm-slim AS graphiql
WORKDIR /build/tools/graphiql
COPY tools/graphiql/package.json tools/graphiql/package-lock.json tools/graphiql/.npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
COPY tools/graphiql ./
RUN npm run build

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
# sqlite-utils asks for pip, for a sub-command that nobody calls here.
COPY deploy/locks/metrics-api.txt deploy/locks/
RUN python -m venv --without-pip /opt/weir \
 && /build/tools/bin/uv pip install --quiet --python /opt/weir/bin/python --require-hashes --only-binary :all: \
    --compile-bytecode --requirement deploy/locks/metrics-api.txt \
 && /build/tools/bin/uv pip uninstall --quiet --python /opt/weir/bin/python pip

COPY VERSION ./
COPY libs/events libs/events
COPY libs/servicekit libs/servicekit
COPY services/metrics_api services/metrics_api
COPY --from=graphiql /build/services/metrics_api/src/weir/metrics_api/pages/graphiql \
    services/metrics_api/src/weir/metrics_api/pages/graphiql
RUN /build/tools/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
    --wheel-dir wheels ./libs/events ./libs/servicekit ./services/metrics_api \
 && /build/tools/bin/uv pip install --quiet --python /opt/weir/bin/python --no-deps --no-index \
    --compile-bytecode wheels/*.whl

FROM python:3.13-slim-bookworm
COPY --from=build /opt/weir /opt/weir
COPY deploy/docker/healthcheck.py /opt/weir/healthcheck.py
# The only folder that is written to, for any user of this id; everything else belongs to root.
RUN install --directory --owner=10001 --group=10001 --mode=0750 /var/lib/weir
USER 10001:10001
WORKDIR /var/lib/weir
VOLUME /var/lib/weir
ENV PYTHONSAFEPATH=1 \
    WEIR_API_LISTEN=0.0.0.0:8002 \
    WEIR_DATA_DIR=/var/lib/weir \
    WEIR_LOG_FORMAT=json
EXPOSE 8002
HEALTHCHECK --interval=5s --timeout=3s --start-period=15s --retries=3 \
    CMD ["/opt/weir/bin/python", "-I", "/opt/weir/healthcheck.py", "WEIR_API_LISTEN"]
ENTRYPOINT ["/opt/weir/bin/python", "-m", "weir.metrics_api"]
