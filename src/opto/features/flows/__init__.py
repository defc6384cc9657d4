"""Programs of model calls whose every call is a node."""
