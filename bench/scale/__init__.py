"""What a number of devices and pushes needs: nodes, memory, disk, connections, time. `python -m bench.scale` prints the tables.

To be read in this order:

    measured    what `report.json` says                        in
    given       what it cannot say: rules of others, choices   in
    around      what a node's loop has around it               simulation
    node        one node, loop step by loop step               simulation
    ramping     nodes against one project's quota              simulation
    day         queues over a day                              simulation
    proof       the simulation beside what was measured
    one, many   tables about one node, about ten and more
    inputs      what the model begins with, and the proof, as tables
    page        the tables in `docs/scale.md`

Everything follows from the report and a seed: the same report makes the same page.
"""
