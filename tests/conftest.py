"""How properties are tried and garbage is collected, in all tiers."""

import gc

from hypothesis import settings

# The same examples everywhere and every time: a change is judged by what it changes. To look for new ones:
# pytest --hypothesis-profile=default
settings.register_profile("repeatable", derandomize=True, max_examples=100, deadline=None)
settings.load_profile("repeatable")


def pytest_collection_finish() -> None:
    """Leave what is imported by now out of garbage collection, and look at the rest rarely: it takes time.

    A run of the program makes a hundred thousand objects. Python would look through them all a hundred times.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(1_000_000, 5, 5)


def pytest_sessionfinish() -> None:
    """Collect once more, so that what was never closed is an error; pytest itself does it five times."""
    gc.collect()
    gc.freeze()
