"""Which record of an image stands: a batch folder is read once for ranks, once for records, never held in memory."""

from collections.abc import Iterator

from captioner.batches.folder import BatchFolder
from captioner.batches.id_table import IdTable, hex_id
from captioner.batches.rows import SETTLED, Record, rank
from scenes.outcome import Failed

_TAKEN = 255


def finished(batches: BatchFolder) -> IdTable:
    """The ids of all images that are described or refused: nothing is left to do for them."""
    table = IdTable()
    for row in batches.rows(["image_id", "outcome", "round"]):
        if row["outcome"] != "failed":
            table.raise_to(row["image_id"], rank(row["outcome"], row["round"]))
    return table


class Standing:
    """The records that stand: one an image, none of a failed read whose URI was settled later."""

    def __init__(self, batches: BatchFolder) -> None:
        self._batches = batches
        self._ranks, self._uris = IdTable(), IdTable()
        for row in batches.rows(["image_id", "outcome", "reason", "round", "uri"]):
            mine = rank(row["outcome"], row["round"], row["reason"])
            self._ranks.raise_to(row["image_id"], mine)
            if mine >= SETTLED:
                self._uris.put(hex_id(row["uri"]), 1)

    def __len__(self) -> int:
        """How many images there are, failed reads of settled URIs included."""
        return len(self._ranks)

    def records(self) -> Iterator[Record]:
        """Each standing record once; of equals the first by file name. To be called once."""
        for record in self._batches.records():
            outcome = record.outcome
            reason = outcome.reason if isinstance(outcome, Failed) else None
            mine = rank(outcome.kind, record.round, reason)
            if mine != self._ranks.get(outcome.image_id):
                continue
            self._ranks.put(outcome.image_id, _TAKEN)
            if mine >= SETTLED or not self._uris.get(hex_id(record.uri)):
                yield record

    def close(self) -> None:
        """Free the tables."""
        self._ranks.close()
        self._uris.close()


def standing(batches: BatchFolder) -> Iterator[Record]:
    """The standing records of a folder, streamed."""
    tables = Standing(batches)
    try:
        yield from tables.records()
    finally:
        tables.close()
