"""`python -m tests.golden`: write the golden frames anew, from the bundled weights, on the CPU."""

from tests.golden.frames import write

write()
