"""Short names for the types of tables and their rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.void]
Row = np.void
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Plugged = int       # a user's policy as `policies.plug.plug` gives it
Handle = Any        # a block as `policies.arena.handle` gives it: an address, or the block itself
