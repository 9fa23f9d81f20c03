"""The Grafana dashboard asks only for metrics that the server has."""

import json
import re
from pathlib import Path

from app.http.telemetry.metrics import Metrics

DASHBOARD = Path(__file__).resolve().parents[2] / "docker" / "grafana-dashboard.json"


def test_every_metric_of_the_dashboard_exists() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    asked = {name for panel in panels for target in panel["targets"] for name in _names(target["expr"])}
    told = re.findall(r"^# TYPE (\S+)", Metrics().text().decode(), re.MULTILINE)
    known = {name + ending for name in told for ending in ("", "_bucket", "_sum", "_count")}
    assert asked
    assert asked - known == set()


def _names(expression: str) -> list[str]:
    return re.findall(r"wordsight_[a-z_]+", expression)
