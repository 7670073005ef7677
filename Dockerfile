# One image for every node: Ray wants the same Python, Ray and torch on all of them.
#   docker compose build                                                      torch for processors only
#   SWEEPER_TORCH_INDEX=https://pypi.org/simple docker compose build          torch with CUDA, for x86-64
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore

# What a volume of the same name begins with: owned by who writes into it.
RUN useradd --uid 1000 --create-home --home-dir /home/sweeper sweeper \
    && install --directory --owner sweeper --group sweeper \
        /data /checkpoints /var/lib/ray-dashboards

# Torch alone, from the index that has the build wanted: with a second index beside it pip would take whichever
# has the newer version. The layers below change with pyproject.toml only, the last ones with the code.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /build
COPY pyproject.toml ./
# hadolint ignore=DL3013
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
extras = p['optional-dependencies']; \
print(*p['dependencies'], *extras['postgres'], *extras['dashboard'], sep='\n')" > requirements.txt \
    && pip install --index-url "$TORCH_INDEX" "$(grep '^torch' requirements.txt)" \
    && pip install --requirement requirements.txt

COPY README.md LICENSE ./
COPY sweeper sweeper
COPY dashboards dashboards
RUN pip install --no-deps . && rm -rf /build

ENV HOME=/home/sweeper
WORKDIR /home/sweeper
USER 1000:1000
CMD ["sweeper", "--help"]
