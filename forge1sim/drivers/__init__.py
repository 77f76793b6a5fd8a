"""Two clocks for one gateway: SimPy, the reference, and a compiled loop, the fast one."""
