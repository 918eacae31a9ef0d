"""The pool for calls: the engine that runs tests, for any other work. Knows no pytest."""
