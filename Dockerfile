# The mock alone, for people who run containers; docs/how-to/docker-and-kubernetes.md tells how.
# For the same image at each build, name the base by its digest: --build-arg PYTHON=python:3.13-slim@sha256:...
ARG PYTHON=python:3.13-slim

FROM ${PYTHON} AS build
WORKDIR /src
# A layer of its own, because it changes less often than the code. The environment needs no pip: the image's fills it.
COPY requirements/serve.txt requirements/
RUN python -m venv --without-pip /opt/mock-central \
    && pip --python /opt/mock-central install --no-cache-dir --require-hashes -r requirements/serve.txt
COPY . .
RUN pip --python /opt/mock-central install --no-cache-dir --no-deps --no-build-isolation .

FROM ${PYTHON}
COPY --from=build /opt/mock-central /opt/mock-central
ENV PATH=/opt/mock-central/bin:$PATH
# For files of --load and --save. Group 0, because OpenShift chooses the user and leaves only the group.
RUN install -d -m 770 -o 65532 -g 0 /data
WORKDIR /data
# A number, because Kubernetes cannot tell of a name that it is not root's.
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/__admin/health', timeout=2)"]
ENTRYPOINT ["mock-central", "serve", "--host", "0.0.0.0", "--port", "8080"]
