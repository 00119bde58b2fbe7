"""The files of the tables, which the component writes and a server reads."""

USERS, ITEMS, POPULAR, OWNERS = "users.parquet", "items.parquet", "popular.parquet", "owners.json"
CLICKED = "mdr_clicked"  # column of the users: ids of items, newest last
ANY_DOMAIN = ""  # whose popular items are those of all domains together
