"""Commands for people, behind the Makefile."""
