"""The dispatcher of tasks against a world of workers that die in any way, in any order."""
