"""Progressive Growing of GANs (Karras et al., ICLR 2018) on TensorFlow 2 / Keras 3.

    net = pgtf.load("results/000-demo-demo")
    net.show(net.generate(seeds=range(16)))

Importing this package imports neither TensorFlow nor NumPy; the first use of a name does.
"""

from pgtf import lazy

TYPE_CHECKING = False  # An interruption is a line only after this import, and `typing` takes long.
if TYPE_CHECKING:
    from pgtf import dataset as dataset
    from pgtf import export as export
    from pgtf import interop as interop
    from pgtf import metrics as metrics
    from pgtf import networks as networks
    from pgtf import schedule as schedule
    from pgtf.api.callbacks import Callback as Callback
    from pgtf.api.loading import load as load
    from pgtf.api.networks import Networks as Networks
    from pgtf.api.presets import presets as presets
    from pgtf.api.run import Run as Run
    from pgtf.api.train import train as train
    from pgtf.config import Config as Config
    from pgtf.dataset import Dataset as Dataset
    from pgtf.dataset import open_dataset as open_dataset

__version__ = "0.1.0"

_MODULES = {
    "Callback": "pgtf.api.callbacks",
    "Config": "pgtf.config",
    "Dataset": "pgtf.dataset",
    "Networks": "pgtf.api.networks",
    "Run": "pgtf.api.run",
    "load": "pgtf.api.loading",
    "open_dataset": "pgtf.dataset",
    "presets": "pgtf.api.presets",
    "train": "pgtf.api.train",
}
_ROOMS = ("dataset", "export", "interop", "metrics", "networks", "schedule")

__all__ = sorted([*_MODULES, *_ROOMS])  # noqa: PLE0605
__getattr__ = lazy.names_in("pgtf", _MODULES, _ROOMS)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
