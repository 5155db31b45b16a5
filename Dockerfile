# uscl-med3d with everything that requirements.lock names.
#   docker build -t uscl-med3d .
#   docker build -t uscl-med3d:cuda --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .
#   docker run --rm -v "$PWD:/work" uscl-med3d segment sweep.mp4 --point 120,80,33 -o mask.nii.gz
ARG PYTHON=3.11
FROM python:${PYTHON}-slim
ARG TORCH=torch==2.13.0
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

WORKDIR /opt/uscl-med3d
COPY requirements.lock ./
RUN pip install --no-cache-dir "${TORCH}" --index-url "${TORCH_INDEX}" \
    && pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation . \
    && useradd --create-home user
USER user
WORKDIR /work
ENTRYPOINT ["uscl-med3d"]
CMD ["--help"]
