"""What a machine gets: its node, the files it boots with, what it shall be."""
