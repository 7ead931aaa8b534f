"""For every test: one thread of torch, also in the processes that tests start.

Two workers with two threads each on two cores wait for each other far longer than they work.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
