"""How properties are tried and garbage is collected, in all tiers."""

import gc

from hypothesis import settings

# The same examples everywhere and every time, so that a failure comes from the change and not from other examples.
# To look for new ones:
# pytest --hypothesis-profile=default
settings.register_profile("repeatable", derandomize=True, max_examples=100, deadline=None)
settings.load_profile("repeatable")


# Rarely, since a run of the program makes a hundred thousand objects, and Python would look through them all a hundred
# times; and from the beginning, since imports make as many and leave nothing to collect.
gc.set_threshold(1_000_000, 5, 5)


def pytest_collection_finish() -> None:
    """Leave what is imported by now out of garbage collection."""
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Collect once more, so that what was never closed is an error; pytest itself does it five times."""
    gc.collect()
    gc.freeze()
