"""`python chances.py FIRST LAST [guessing]`: run and check worlds by chance; prints what the checker found, by seed."""

import json
import sys

from running import check, run
from worlds import World, chance_world

from forge1sim.workload.spec import Estimation

GUESSES = (
    Estimation(input_tokens_cv=0.3), Estimation(input_tokens_cv=0.6, input_tokens_bias=0.8, complexity_sd=0.2),
    Estimation(input_tokens_bias=1.5),
)  # fmt: skip

if __name__ == "__main__":
    found = {}
    for seed in range(int(sys.argv[1]), int(sys.argv[2])):
        world = chance_world(seed)
        if "guessing" in sys.argv:
            world = World(**{**vars(world), "estimation": GUESSES[seed % len(GUESSES)]})
        report = check(world, run(world))
        if report.findings:
            found[seed] = [str(finding) for finding in report.findings[:5]]
    print(json.dumps(found))
