# crackcli without torch, with the shipped models inside: scan, report, compare.
#
#   docker build -t crackcli .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/data" crackcli scan wall.tif -o out

FROM python:3.11-slim-bookworm AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim-bookworm
ENV PYTHONUNBUFFERED=1
COPY constraints.txt /tmp/constraints.txt
COPY --from=wheel /wheels /tmp/wheels
# opencv-python links against libGL, libxcb and GLib, which the slim image lacks.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
 && rm -rf /var/lib/apt/lists/* \
 && pip install --no-cache-dir --constraint /tmp/constraints.txt /tmp/wheels/*.whl \
 && rm -r /tmp/wheels /tmp/constraints.txt \
 && useradd --uid 1000 --create-home crackcli \
 && install --directory --owner=crackcli /data
USER 1000
WORKDIR /data
VOLUME /data
ENTRYPOINT ["crackcli"]
CMD ["--help"]
