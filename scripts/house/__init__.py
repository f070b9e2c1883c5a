"""What run.py, test.py, prove.py and check share. Standard library only: nothing else is there yet."""
