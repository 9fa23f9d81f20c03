"""What training makes better: pooled vectors, words and neighbouring words each find their description.

In-batch contrastive loss in both directions, with false negatives masked (UniME, Gu et al. 2025), and between the
two worlds of a counterfactual pair. A pair of words is the normalised sum of two neighbours' vectors.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Texts:
    """`pooled` (n, dim) and `words` (n, t, hidden), unit rows; `said` bool (n, t): is it a word?"""

    pooled: "Tensor"
    words: "Tensor"
    said: "Tensor"


@dataclass(frozen=True, slots=True)
class Weights:
    """Temperatures of the scores, how much counterfactuals count, and above which cosine a query repeats another."""

    dense_temperature: float = 0.05
    word_temperature: float = 0.03
    counterfactual: float = 0.4
    same_query: float = 0.85


def loss(queries: Texts, descriptions: Texts, twins: list[tuple[int, int]], weights: Weights) -> "Tensor":
    """A scalar; row i of the queries belongs to row i of the descriptions, `twins` are counterfactual rows."""
    import torch

    alike = (queries.pooled @ queries.pooled.T).detach() > weights.same_query
    alike.fill_diagonal_(False)
    for one, other in twins:
        alike[one, other] = alike[other, one] = False
    scores = (
        (queries.pooled @ descriptions.pooled.T, weights.dense_temperature),
        (late(queries, descriptions), weights.word_temperature),
        (late(neighbours(queries), neighbours(descriptions)), weights.word_temperature),
    )
    total = torch.zeros(())
    for score, temperature in scores:
        total = total + _contrastive((score / temperature).masked_fill(alike, -1e4))
        if twins:
            total = total + weights.counterfactual * _told_apart(score / temperature, twins)
    return total


def late(queries: Texts, descriptions: Texts) -> "Tensor":
    """MaxSim (n, m) as `indexer.tokens.late_interaction` scores it."""
    import torch

    cosines = torch.einsum("qtd,csd->qcts", queries.words, descriptions.words)
    best = cosines.masked_fill(~descriptions.said[None, :, None, :], -1).amax(-1)
    said = queries.said.float()
    return (best * said[:, None, :]).sum(-1) / said.sum(1).clamp_min(1)[:, None]


def neighbours(texts: Texts) -> Texts:
    """Each word with the next one; words stand at the front of each row, without punctuation between them."""
    import torch

    pairs = torch.nn.functional.normalize(texts.words[:, :-1] + texts.words[:, 1:], dim=-1)
    return Texts(texts.pooled, pairs, texts.said[:, :-1] & texts.said[:, 1:])


def _contrastive(logits: "Tensor") -> "Tensor":
    import torch

    right = torch.arange(len(logits))
    cross_entropy = torch.nn.functional.cross_entropy
    return (cross_entropy(logits, right) + cross_entropy(logits.T, right)) / 2


def _told_apart(logits: "Tensor", twins: list[tuple[int, int]]) -> "Tensor":
    import torch

    one, other = (torch.tensor(rows) for rows in zip(*twins, strict=True))
    right = torch.cat([logits[one, one], logits[other, other]]).repeat(2)
    wrong = torch.cat([logits[other, one], logits[one, other], logits[one, other], logits[other, one]])
    return torch.nn.functional.softplus(wrong - right).mean()
