"""What other plugins expect: the surface of pytest-xdist, and adapters for single plugins, each in its own file."""
