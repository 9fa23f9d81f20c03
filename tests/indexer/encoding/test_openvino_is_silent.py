"""OpenVINO is used without its telemetry, which would connect to its maker from a forked server."""

import subprocess
import sys

CODE = """
import sys
from indexer.encoding.openvino_session import native_precision
native_precision()
print([name for name, module in sys.modules.items() if "telemetry" in name and "openvino_" in name and module])
"""


def test_its_telemetry_is_never_imported() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
