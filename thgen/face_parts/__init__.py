"""Views of a face that show one thing and hide others: a mouth, another moment's mouth, a head without organs."""
