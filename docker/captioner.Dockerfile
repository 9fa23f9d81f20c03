# The captioner: wordsight inside vLLM's own image, on a GPU machine. It writes batches and needs no database.
FROM vllm/vllm-openai:v0.32.0
ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1
WORKDIR /opt/wordsight
COPY . .
RUN pip install --no-cache-dir -e ".[captioner]" \
    && useradd --create-home --uid 10001 wordsight \
    && install -d -o wordsight -g wordsight /batches
USER 10001
VOLUME /batches
ENTRYPOINT ["wordsight"]
CMD ["caption", "run", "/images", "--out", "/batches", "--engine", "vllm"]
