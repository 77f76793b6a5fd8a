"""`python -m forge1sim.cli` is `forge1sim`."""

from forge1sim.cli.main import main

main()
