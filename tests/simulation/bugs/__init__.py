"""Dispatchers and schedulers with one bug each, of the kinds that are easily made; one module per kind."""
