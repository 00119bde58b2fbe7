"""What a server needs to know of users and items to rank by their ids alone."""
