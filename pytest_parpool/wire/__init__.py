"""What pytest's objects look like between the two sides: reports, warnings and plain values, to bytes and back.

Used by both sides; knows pytest, but neither processes nor decisions.
"""
