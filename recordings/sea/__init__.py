"""Say what Secure External Access is: file names, file locations and the 30-day rule.

Pure Python, standard library only: nothing in this room reads a clock, a file or a network.
"""
