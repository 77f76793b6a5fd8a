"""The command line: one composition root, subcommands found by entry points."""
