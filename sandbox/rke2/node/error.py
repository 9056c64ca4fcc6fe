"""The one error for what a user can put right."""


class Rke2Error(Exception):
    """Why RKE2 does not start: where, what was seen, what to do. Shown without a traceback."""
