"""A cloud and a GPU machine on one Linux box: the real engine, no account, no GPU (see README.md here)."""
