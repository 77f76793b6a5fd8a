"""What somebody who knew everything beforehand could not do cheaper: a bound for a realised workload."""

from forge1sim.experiments.clairvoyant.bound import Bound, check_block_s, clairvoyant_bound
from forge1sim.experiments.clairvoyant.realised import Realised, realise

__all__ = ["Bound", "Realised", "check_block_s", "clairvoyant_bound", "realise"]
