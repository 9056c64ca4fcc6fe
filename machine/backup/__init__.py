"""A cluster's datastore out of its machines and back into them, as people ask for it over SSH."""
