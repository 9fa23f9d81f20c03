"""A probability in words that claim no more than it says."""


def chance(probability: float) -> str:
    """'83 %', never '0 %' or '100 %': a model is never that sure."""
    percent = round(100 * probability)
    if percent < 1:
        return "< 1 %"
    return "> 99 %" if percent > 99 else f"{percent} %"  # noqa: PLR2004 - percent
