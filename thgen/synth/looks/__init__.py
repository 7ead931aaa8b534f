"""How a performer looks: skin, hair, clothes, background."""
