"""The gateway on the wall clock: real traffic through the very policies that were simulated."""
