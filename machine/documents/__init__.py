"""The forms that cross between `plan/` and a machine, each once: whoever writes or reads one imports it from here."""
