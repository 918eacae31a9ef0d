"""The accounts of many processes on one sheet, in random order, and in the midst of one another."""
