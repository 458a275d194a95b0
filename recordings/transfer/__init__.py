"""SEA becomes archive: `queue` holds and claims the work, `copying` streams, `verifying` reads back, `saving` does a batch."""
