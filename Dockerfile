# One image for every command and role: docker run tocsin run matcher
# With what traces need in it: docker build --build-arg LOCK=requirements-otel.lock .
FROM python:3.11-slim-bookworm AS build
ARG LOCK=requirements.lock
WORKDIR /src
COPY requirements-build.lock ${LOCK} ./
RUN pip install --no-cache-dir --require-hashes -r requirements-build.lock && \
    python -m venv --without-pip /opt/tocsin && \
    pip --python /opt/tocsin/bin/python install --no-cache-dir --only-binary :all: --require-hashes -r ${LOCK}
COPY pyproject.toml README.md LICENSE ./
COPY processor processor
COPY config config
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . && \
    pip --python /opt/tocsin/bin/python install --no-cache-dir --no-index --no-deps /wheels/*.whl

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="tocsin" \
      org.opencontainers.image.description="Exactly-once event matching on Kafka, durable webhook delivery" \
      org.opencontainers.image.licenses="Apache-2.0"
# Nothing installs anything here any more.
RUN pip uninstall --yes --no-cache-dir --root-user-action=ignore setuptools wheel pip && \
    groupadd --gid 10001 tocsin && \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin tocsin
COPY --from=build /opt/tocsin /opt/tocsin
ENV PATH=/opt/tocsin/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 9464
# Roles are asked at /healthz and /readyz by whoever runs them; the other commands end by themselves.
HEALTHCHECK NONE
ENTRYPOINT ["tocsin"]
CMD ["--help"]
