"""The machine itself: its files, programs, clock, locks and signals. Everything else gets it as an argument."""
