"""Pickles of networks as the original releases wrote them, without the originals."""

import pickle
import sys
import types


def pickled(module_name, *states, protocol=4, times=1):
    """Pickles instances of class `Network` of a module: bytes of one instance or of a tuple.

    Args:
        module_name: "tfutil" for the TensorFlow release, "network" for the Theano one.
        *states: the pickled state of each instance, a dict.
        times: how often the instances are repeated in the tuple; 1 state and 1 time = no tuple.
    """
    module = types.ModuleType(module_name)
    module.Network = type("Network", (), {"__module__": module_name})
    networks = []
    for state in states:
        networks.append(module.Network())
        networks[-1].__dict__.update(state)
    networks = tuple(networks * times)
    sys.modules[module_name] = module
    try:
        return pickle.dumps(networks if len(networks) > 1 else networks[0], protocol)
    finally:
        del sys.modules[module_name]
