"""Two hundred kills at random moments, full disks and a misbehaving server: nothing lost, nothing doubled."""

import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.recording import record
from tests.captioner.killing import sixty, undisturbed_outcomes, wage

MEASURED = ("captioner", "scenes/outcome.py", "scenes/artifact.py", "tests/captioner/killing.py")
KILLS = 200
SEED = 1


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="wordsight-kills-") as name:
        folder = Path(name)
        source = sixty(folder / "source")
        undisturbed = undisturbed_outcomes(source, folder / "undisturbed")
        campaign = wage(source, folder, undisturbed, kills=KILLS, seed=SEED)
    print(campaign)
    figures = {
        "kills": dict(campaign.kills),
        "full_disks": campaign.full_disks,
        "runs": campaign.runs,
        "lost": campaign.lost,
        "doubled": campaign.doubled,
        "differing": campaign.differing,
        "undisturbed": dict(Counter(kind for kind, _ in undisturbed.values())),
    }
    if campaign.lost or campaign.doubled or campaign.differing or sum(campaign.kills.values()) < KILLS:
        raise AssertionError(str(campaign))
    record("long_captioner_kills", figures, measured=MEASURED, seed=SEED)


if __name__ == "__main__":
    main()
