"""Sealed bundles: recordings handed over as one ZIP whose every byte is settled before the first one is sent.

`naming` and `layout` are pure; `making` seals a bundle in the background, `manifest` writes what it says about itself,
`reading` fetches recordings ahead of the reader, `stream` gives any range, `looking` asks for them again before a download,
`fetching` and `sharing` say who takes it.
"""
