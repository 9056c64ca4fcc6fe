"""What a command shows in a terminal: recorded with its times, and drawn as a picture that moves."""
