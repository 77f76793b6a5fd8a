"""The workbench: `make app`, or `streamlit run app.py`."""

from forge1sim.workbench.shell import show
from live_adapter.watching.look import look

show(looking=look)
