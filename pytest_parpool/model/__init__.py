"""The vocabulary: ids, the plan, messages, notices, actions and exits. Data only, no behaviour that could go wrong.

Everything above imports from here; this package imports nothing of ours.
"""
