"""The broker of shared objects: who is given what, who waits, and who waits in vain.

Pure: notices in, moves out, the time is an argument. Where to look:

* ``broker``: the notices; parties and connections, from their first word to their death.
* ``desk``: what all kinds of objects use to answer, to give, and to make somebody wait.
* ``kinds``: what a kind of objects is; then one module for each kind. ``sized``: what some of them have in common.
* ``lock_table``: the locks themselves, and their slots; ``locks`` decides who has them.
* ``waits_for``: who can never be given what it waits for. ``explanations``: how people are told.

What changes is in plain classes, not dataclasses: whoever needs the broker first waits for it to be imported.
"""
