# One image for every command and role: docker run tocsin run matcher
# With what traces need in it: docker build --build-arg LOCK=requirements-otel.lock .
FROM python:3.11-slim-bookworm AS build
ARG LOCK=requirements.lock
# The same sources make the same bytes: no time of today in any file, no hash seed of the day in compiled ones.
ARG SOURCE_DATE_EPOCH=1767225600
ENV PYTHONHASHSEED=0
WORKDIR /src
COPY requirements-build.lock ${LOCK} ./
RUN pip install --no-cache-dir --require-hashes -r requirements-build.lock && \
    python -m venv --without-pip /opt/tocsin && \
    pip --python /opt/tocsin/bin/python install --no-cache-dir --no-compile --only-binary :all: --require-hashes -r ${LOCK}
COPY pyproject.toml README.md LICENSE ./
COPY processor processor
COPY config config
# Compiled files that are never compared with their sources: a root that can't be written to starts as fast.
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . && \
    pip --python /opt/tocsin/bin/python install --no-cache-dir --no-compile --no-index --no-deps /wheels/*.whl && \
    python -m compileall -qf --invalidation-mode unchecked-hash /opt/tocsin/lib && \
    find /opt -exec touch --no-dereference --date=@${SOURCE_DATE_EPOCH} {} +

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="tocsin" \
      org.opencontainers.image.description="Exactly-once event matching on Kafka, durable webhook delivery" \
      org.opencontainers.image.licenses="Apache-2.0"
# Nothing installs anything here any more. The user needs no more than a name.
RUN pip uninstall --yes --no-cache-dir --root-user-action=ignore setuptools wheel pip && \
    echo "tocsin:x:10001:" >> /etc/group && \
    echo "tocsin:x:10001:10001::/nonexistent:/usr/sbin/nologin" >> /etc/passwd
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
