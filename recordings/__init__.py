"""SEA Portal: every recording in a Secure External Access folder found, saved, verified and at hand.

The rooms, in the order in which a recording walks through them. Imports point back along this line only.

    sea          what SEA is: location, file name, policy. Pure Python
    stores       where bytes live: one Store interface over S3, Azure and folders; the only door to a storage SDK
    models       one file per noun, with the words that filter it
    trail        the audit trail: what happened, chained so that a change shows
    access       who may see and do what, decided in one place
    catalog      a SEA listing becomes rows: scan, merge, reconcile
    search       rows become answers: criteria, pages, contacts, look-ups, selections, CSV
    transfer     SEA becomes archive, and is freed: queue, copying, verifying, releasing, removing
    delivery     bytes reach people: playback and download with ranges
    oversight    what is watched: the overview and its figures
    forms        input from people, checked
    tasks        Celery doors, a few lines each
    views        HTTP in and out, one file per page
    management   the same jobs without a browser
"""
