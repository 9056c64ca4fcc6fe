"""How this host boots machines and people get into them."""
