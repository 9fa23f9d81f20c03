"""Which broader kinds an ImageNet class belongs to: 'tabby cat' is a cat and an animal.

Numbers are positions in ILSVRC-2012's order of classes, which follows WordNet.
"""

_RANGES: tuple[tuple[int, int, tuple[str, ...]], ...] = (
    (0, 6, ("fish", "animal")),
    (7, 24, ("bird", "animal")),
    (25, 32, ("amphibian", "animal")),
    (33, 37, ("turtle", "animal")),
    (38, 48, ("lizard", "animal")),
    (49, 50, ("crocodile", "animal")),
    (52, 68, ("snake", "animal")),
    (72, 77, ("spider", "animal")),
    (80, 100, ("bird", "animal")),
    (118, 121, ("crab", "animal")),
    (127, 146, ("bird", "animal")),
    (147, 148, ("whale", "animal")),
    (151, 268, ("dog", "animal")),
    (269, 275, ("wild dog", "animal")),
    (277, 280, ("fox", "animal")),
    (281, 285, ("cat", "animal")),
    (286, 293, ("big cat", "animal")),
    (294, 297, ("bear", "animal")),
    (300, 320, ("insect", "animal")),
    (321, 326, ("butterfly", "animal")),
    (330, 332, ("rabbit", "animal")),
    (333, 336, ("rodent", "animal")),
    (339, 340, ("horse", "animal")),
    (345, 347, ("cattle", "animal")),
    (348, 350, ("sheep", "animal")),
    (365, 384, ("monkey", "animal")),
    (385, 386, ("elephant", "animal")),
    (389, 397, ("fish", "animal")),
    (924, 935, ("food",)),
    (936, 947, ("vegetable", "food")),
    (948, 957, ("fruit", "food")),
    (959, 966, ("food",)),
    (967, 969, ("drink",)),
    (970, 970, ("mountain", "landscape")),
    (972, 980, ("landscape",)),
    (985, 986, ("flower", "plant")),
    (991, 997, ("mushroom",)),
)
_SINGLE: dict[tuple[str, ...], tuple[int, ...]] = {
    ("car", "vehicle"): (407, 436, 468, 511, 609, 627, 656, 661, 751, 817),
    ("truck", "vehicle"): (555, 569, 654, 675, 717, 734, 864, 867),
    ("bus", "vehicle"): (779, 874),
    ("motorcycle", "vehicle"): (665, 670),
    ("bicycle", "vehicle"): (444, 671, 870),
    ("train", "vehicle"): (466, 547, 565, 705, 820, 829),
    ("boat", "vehicle"): (472, 484, 510, 554, 576, 625, 628, 724, 780, 814, 833, 871, 914),
    ("aircraft", "vehicle"): (404, 405, 417, 895, 908),
    ("rocket",): (657, 744),
    ("building",): (425, 437, 442, 449, 467, 483, 497, 498, 500, 538, 580, 624, 634, 663, 668, 698, 727, 762, 832),
    ("clock",): (409, 530, 531, 826, 892),
    ("cup", "drink"): (504, 647),
    ("computer",): (527, 590, 620, 664, 681, 782, 810),
    ("furniture",): (423, 453, 493, 526, 532, 553, 559, 703, 736, 765, 831, 846, 857, 861, 894),
    ("musical instrument",): (401, 402, 420, 432, 486, 494, 513, 541, 546, 558, 566, 579, 593, 594, 641, 642, 683),
    ("wind or string instrument", "musical instrument"): (684, 687, 699, 776, 822, 875, 881, 889),
    ("ball",): (429, 430, 522, 574, 722, 768, 805, 852, 890),
    ("page of text",): (916, 917, 921, 922),
}
_BY_NUMBER = {number: kinds for kinds, numbers in _SINGLE.items() for number in numbers}


def kinds(number: int) -> tuple[str, ...]:
    """The kinds of a class, the narrowest first; empty where none is listed."""
    for first, last, found in _RANGES:
        if first <= number <= last:
            return found
    return _BY_NUMBER.get(number, ())
