"""Rows become answers: what was asked (criteria), its pages (results), a selection of it, its CSV."""
