"""What a study takes before it is run: tokens, operations and time."""
