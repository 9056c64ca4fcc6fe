"""From the text of a stack file to its settings, or to every problem in it."""
