"""What CXone knows of a call, from CSV files: columns, reading, importing, and what the files say is missing."""
