"""`python chances.py FIRST LAST`: run and check worlds by chance; prints what the checker found, by seed."""

import json
import sys

from running import check, run
from worlds import chance_world

if __name__ == "__main__":
    found = {}
    for seed in range(int(sys.argv[1]), int(sys.argv[2])):
        world = chance_world(seed)
        report = check(world, run(world))
        if report.findings:
            found[seed] = [str(finding) for finding in report.findings[:5]]
    print(json.dumps(found))
