"""Bytes reach people: from SEA while a recording is there, else from its copy."""
