"""The sample: a SEA folder that looks lived in, made on this machine, with media that really plays.

`plan` says which recordings exist, under which names, arriving when; `speech`, `lettering`, `canvas` and `desktop` make sound
and pictures; `clips` encodes them; `write` puts it all into a folder whose modification times are the arrivals in SEA.
"""

BUCKET = "acme-sea"
PREFIX = "recordings/"
