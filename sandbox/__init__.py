"""A cloud and a GPU machine on one Linux machine: the real engine, no account, no GPU (see README.md here)."""
