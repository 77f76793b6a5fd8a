"""After a restart: the state as it was, from the journal, and an end for all that was under way when the process ended."""

import numpy as np

from live_adapter.driver import Driver
from live_adapter.replaying import Recording, feed
from policies.inputs import GONE
from policies.log import CLIENT_GONE
from policies.state import FREE, IN_FLIGHT


def resume(driver: Driver, recording: Recording) -> list[int]:
    """Bring a driver that has just begun to where the recording ends; returns how many requests each tenant has made.

    Nothing of this is kept again: it is on record already. Afterwards whoever was in the system is gone, which is new, and kept: an
    attempt under way is taken to have used the most that it may have.
    """
    feed(driver, recording)
    requests = driver.state.requests
    for slot in np.flatnonzero(requests["status"] != FREE).tolist():
        request = requests[slot]
        used = (int(request["input_tokens"]), 0, int(request["reserved_output"])) if request["status"] == IN_FLIGHT else (0, 0, 0)
        driver.tell(GONE, slot, int(request["request"]), *used, CLIENT_GONE)
    return recording.requests_by_tenant()
