"""Side-by-side measures against named peers, each in one run on one machine: `./portal bench [NAME] [options]`."""
