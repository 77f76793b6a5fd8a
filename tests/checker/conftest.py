"""Helpers of this folder stand beside the tests and are run as scripts, too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
