"""What is different on Windows. Collected there only; `tools/wine.py` runs it without Windows."""
