"""Look-up: a list of up to 100,000 contact IDs or file names, answered at once.

states     what found, partly, removed, missing, expired and lost mean: said once, for the query and for the page
entries    cells of a list become questions: contact IDs, file names, or why they are neither
reading    text, CSV and TXT become cells
workbook   XLSX becomes cells
answering  questions become answers, kept for a day
"""
