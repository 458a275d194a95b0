"""A SEA listing becomes rows: `scan` lists in shards, `merge` writes what is new, `reconcile` settles what is gone."""
