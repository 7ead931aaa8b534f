"""Views of a face that show one thing and hide others: a mouth, a mouth of another moment, a head without its organs."""
