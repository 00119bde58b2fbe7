"""What a team reads after a run: a table in the terminal and one page."""
