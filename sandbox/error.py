"""What the sandbox says instead of a traceback."""


class SandboxError(Exception):
    """Something the sandbox cannot do; its text says what, what was seen and what to do."""
