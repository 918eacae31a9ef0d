"""Pytest in a worker. Never imports from ``controller``.

* ``main``: a worker's whole life.  ``birth``: what a forked copy of the controller must renew before it is a worker.
* ``executor``: runs items, one after the other.  ``next_item``: what pytest is told to be the next one.
* ``reporter``: sends reports and warnings.
"""
