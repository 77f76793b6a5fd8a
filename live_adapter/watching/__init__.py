"""A gateway at work, as its ledger and its metrics tell of it. Reads only; knows nothing of how a gateway decides."""
