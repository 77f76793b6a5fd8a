"""Short names for the types of tables and their rows."""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.void]
Row = np.void
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
