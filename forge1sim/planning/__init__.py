"""Plans: what to contract and how much to reserve. A program proposes, the simulator verifies, a bound says how much better it could be."""
