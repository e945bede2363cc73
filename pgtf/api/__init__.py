"""The Python interface: load networks, generate images, train. `pgtf` offers the same names."""
