"""The broker of shared objects on Windows: it is spoken with over loopback, and gives all locks itself."""
