"""Any functional Keras model, read once into the calls of `Sites`.

`flatten` reads the Keras graph into nodes, `simplify` rewrites them, `emit` places the sites, and
`steps.Graph` is the result: data that describes the network to any `Sites`, and that a saved
network carries with it.
"""
