# The server and the worker of wordsight. CPU by default; `--build-arg EXTRA=gpu` takes faiss-gpu.
FROM python:3.11.13-slim-bookworm
ARG EXTRA=server
ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 WORDSIGHT_HOME=/data
WORKDIR /opt/wordsight
COPY . .
RUN pip install --no-cache-dir -e ".[${EXTRA}]" \
    && wordsight models \
    && useradd --create-home --uid 10001 wordsight \
    && install -d -o wordsight -g wordsight /data
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["wordsight"]
CMD ["serve", "--host", "0.0.0.0"]
