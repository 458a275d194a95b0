"""What is watched: is anything about to be lost?"""
