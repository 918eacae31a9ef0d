"""The decisions: pure code that imports the vocabulary only. No clock, no file, no process, no pytest."""
