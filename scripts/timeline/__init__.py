"""What the time of an `up` went into: from the engine's state and the machines' own records to a picture."""
