"""The fluid program of a plan's problem: what to have, and where requests flow, at the least cost.

    check       says what is wrong with a problem before a solver sees it
    table       columns and rows in bulk, and the way into PuLP
    stock       accounts by state, and what is left of them after a loss
    flow        which share of a class is answered where, and the rooms that it needs
    program     all of it: rooms, goals, survivals, commitments, cuts
    solve       HiGHS or CBC, with the bound that they prove
    conflict    why nothing fits, and the cheapest way out
    proposal    the answer
"""

from forge1sim.planning.fluid.proposal import Proposal, propose

__all__ = ["Proposal", "propose"]
