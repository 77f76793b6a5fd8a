"""Several gateways on the same accounts: shares of every limit, leased by way of Redis (docs/live.md, "Replicas").

store       where leases are kept: one script in Redis
renewing    a replica renews its lease, and tells its gateway of its shares
"""
