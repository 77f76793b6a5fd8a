"""Requests whose proposals the program weighs together. The finer, the fewer rounds it needs; no bound rests on it."""

import numpy as np
from numpy.typing import NDArray

from forge1sim.experiments.clairvoyant.choices import Choices

Ints = NDArray[np.int64]
MOST_GROUPS = 600


def group(choices: Choices, first: Ints, most_groups: int = MOST_GROUPS) -> Ints:
    """The group of each request, shape (n,), numbered from 0: as fine as `most_groups` allows.

    Each request for itself, else by its first block, what its tenant may use, model wanted, complexity, size.
    """
    if len(first) <= most_groups // 2:
        return np.arange(len(first))
    requests = choices.requests
    size = np.log2(requests["input_tokens"].astype(np.float64) + requests["output_tokens"] + 1).astype(np.int64)
    complexity = requests["complexity_pm"].astype(np.int64)
    number = _numbered(np.zeros(len(first), dtype=np.int64), first)
    for key in (choices.access, requests["wanted"].astype(np.int64), complexity // 251, size // 2, complexity // 126, size):
        finer = _numbered(number, key)
        if finer.max() >= most_groups:
            break
        number = finer
    return number


def _numbered(number: Ints, key: Ints) -> Ints:
    """One number for each pair of both, from 0."""
    _, code = np.unique(key, return_inverse=True)
    _, found = np.unique(number * (int(code.max(initial=0)) + 1) + code, return_inverse=True)
    return np.asarray(found, dtype=np.int64)
