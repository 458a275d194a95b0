"""Hold the one door to bytes: SEA folders and archives behind one Store interface (base.py).

Only this room imports a storage SDK. It knows nothing of the database, so that every store can be tested on its own.
"""
